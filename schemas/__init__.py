"""The contract: what every table holds, what must be true of them, and the errors that name a breach."""
