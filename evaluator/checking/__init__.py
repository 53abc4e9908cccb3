"""One submission on public data, as a contributor and CI check it, and a new one to start from.

Doors: cards check own_data recommend scaffold.
"""
