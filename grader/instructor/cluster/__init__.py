"""The same examinations and experiments on the machines of a Dask cluster (`--scheduler ADDRESS`).

    this machine                          the scheduler         each Dask worker
    `pool`, `training`: what to do        hands on bytes        `on_worker`: asks a program for it
    `scheduler`: who may do it                                  `examiner`, `trainer`: the programs

Tasks are functions of the bytes that are sent with them, so workers share no disk with this machine, and
queue, retry and transport are Dask's. A Dask worker runs tasks in threads, may not fork and must not be
kept from its event loop, so it only asks a program beside it, in whose main thread the work is done.
Functions are sent by value and import the kit where they run: neither the scheduler nor foreign workers
need it. Modules named here import `distributed` only where they are used on this machine.
"""
