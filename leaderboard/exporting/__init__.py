"""Formats of others, one module each; `leaderboard.exports` finds them, and says what each of them defines."""
