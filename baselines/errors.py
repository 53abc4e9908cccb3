"""What goes wrong with data and models, said in a message."""


class DataError(Exception):
    """The data or the model are not what they should be; the message says which and what to do."""
