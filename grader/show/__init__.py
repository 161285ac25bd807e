"""`grade show`: what a task's function does on an example, drawn beside what it should do.

`examples` says what is asked of each task, `look` asks the student's code (through the wall) and the
reference, `drawing` and its kin draw what came back. Nothing here takes part in a verdict.
"""
