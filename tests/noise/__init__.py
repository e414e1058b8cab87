"""Whether answers hold on a machine with other work on it: a study beside loops that keep every core busy half of the
time, in bursts of 0.1 to 3 s.

`python -m tests.noise --runs 5` runs the study once alone and five times beside the loops. Each answer is held against
its rows by values alone, and names a tuned cell for every device or not. Its ratio to the baseline is compared with
that of the run alone, whose tuners found other schedules, and with that of its own libraries, which are compared again
with nothing beside them. `--aa 30` holds finals of a network against itself and against one that takes 10 % longer
beside the loops, and 3 % longer without, in turns and, with `--side-by-side`, on two cores at the same moment too. Both
want a machine with nothing else on it.
"""
