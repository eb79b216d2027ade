"""Golden digests: does the code of this tree give the same numbers, bit for bit, as that of another git revision?

`python -m benchmarks.golden --against REVISION` runs the same jobs with both, each in a temporary folder, through the
command line alone, so that the two may name their modules as they like.
"""
