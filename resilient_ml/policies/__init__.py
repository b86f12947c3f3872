"""The policies: one async body each."""
