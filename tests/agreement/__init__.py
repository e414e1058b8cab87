"""How well quantised networks that are compiled here agree with the runtime that their file comes from.

`python -m tests.agreement` compiles the digits networks, an int8 TFLite file and the QDQ files that are made of the
float one, and those quantised networks inside packages of the index that the list of `tests.packaged` has. Each answers
samples here and in its own runtime, as that ships. A line tells the share of outputs within one step and the share of
samples in the same class; it ends with 1 where less than 99 % or 99.5 % agree.
"""
