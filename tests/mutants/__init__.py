"""A mutation run: the code and the policies, changed in one place at a time, against the tests that should notice.

`make mutants` (or `python -m tests.mutants --help`). What survives, and why, is in docs/mutants.md.
"""
