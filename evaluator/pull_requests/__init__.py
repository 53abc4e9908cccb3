"""From a pull request to a merge; nothing of it is ever run, and Docker is not known here."""
