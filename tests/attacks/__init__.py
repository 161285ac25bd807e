"""Hostile submissions of our own, as data: what each tries, and what has to come of it.

An attack (`attack.Attack`) is the solutions with something hostile put into them, so that its honest part is in plain
sight. One module a family; `attack.hostile` puts code into one function or before its module, `attack.raw` replaces
whole files, `archives` hands in an archive. To add one, append it to its family's `ATTACKS`:

    hostile("UDP", "to get past rules on TCP", "t.each(lambda: send(...))", outcome=PASSED)

Its tasks are those that have to pass unless `outcome` (of the attacked one) or `also` (of others) says otherwise; a
task that need not pass is worth nothing, or what `most` says. Mostly an attack tries, catches what it is refused, and
answers rightly: then full marks are right. `t` is the toolbox, which tells where secrets and targets are, gets loot
out in several forms (`t.loot`, `t.each`) and announces what must not have been possible (`t.breach`).

`examining` examines one after the other with one examiner. `grounds` looks at what each has done: no secret in the
record, nothing heard by the listeners on loopback, no process, file or socket left, the other processes whole; then
an honest submission has to get full marks.

How it is run safely: `launch` starts runners in PID, network, IPC, UTS and mount namespaces of their own, and
`enter`, which prepares the ground there, refuses to go on elsewhere: what is not stopped may kill whatever it sees.
With no namespaces to be had the suite is skipped. At level D, which stops little, attacks that would end the examiner
or change the machine (`ends_run`) are left out. By hand: `cd tests; python -m attacks.launch WORDS --level B`.
"""

from attacks import (
    aftermath,
    archives,
    cheating,
    comparisons,
    ending,
    escapes,
    messages,
    network,
    reading,
    resources,
    sources,
    values,
)
from attacks.attack import Attack, named

ATTACKS: list[Attack] = [
    *named("ending", ending.ATTACKS),
    *named("resources", resources.ATTACKS),
    *named("reading", reading.ATTACKS),
    *named("network", network.ATTACKS),
    *named("messages", messages.ATTACKS),
    *named("comparisons", comparisons.ATTACKS),
    *named("aftermath", aftermath.ATTACKS),
    *named("escapes", escapes.ATTACKS),
    *named("values", values.ATTACKS),
    *named("cheating", cheating.ATTACKS),
    *named("sources", sources.ATTACKS),
    *named("archives", archives.ATTACKS),
]
