"""`python -m evaluator` is `apb`."""

from evaluator.commands.cli import main

if __name__ == "__main__":
    main()
