"""One file a command: options in, one function called, lines and an exit status out. `cli` collects them."""
