"""One image on one machine; the only room that knows Docker. It sees sequences, never a label."""
