"""One image on one machine; the only room that knows Docker. It sees sequences, never a label.

Doors: audit containers covered doctor engine hardware images limits pinning ready runs sandbox scratch tars
unsandboxed.
"""
