"""The one exception that a command line turns into one sentence and exit status 2."""


class UserError(Exception):
    """Something the user can mend; its message is one clear sentence and is printed without a traceback."""
