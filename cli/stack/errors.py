"""What the stack refuses, in words for a terminal."""


class StackError(Exception):
    """Something the person at the terminal can act on; the message says what happened and what to do."""
