"""Pure decisions: the instant and the random draw are arguments, nothing waits."""
