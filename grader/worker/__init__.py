"""The untrusted end of the wall.

Whatever is imported here can be read by a student's code. So nothing in this package knows what a
check expects, and nothing here decides a verdict: it runs functions and sends what they return.
"""
