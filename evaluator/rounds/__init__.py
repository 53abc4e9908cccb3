"""The weekly round: what is due is run, scored, recorded and ranked. `round` tells the story.

Doors: executors job machinery round size task watch.
"""
