"""Online statistics: pure, without clocks or locks."""
