"""Which faults a library survives: the faults, the cases that bring them about, the libraries' adapters."""
