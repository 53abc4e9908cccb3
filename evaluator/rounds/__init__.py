"""The weekly round: what is due is run, scored, recorded and ranked. `round` tells the story.

Doors: archive derived executors job machinery rescoring round size task watch.
"""
