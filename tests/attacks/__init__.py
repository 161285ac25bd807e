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
