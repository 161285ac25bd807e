from attacks import ending
from attacks.attack import Attack, named

ATTACKS: list[Attack] = [*named("ending", ending.ATTACKS)]
