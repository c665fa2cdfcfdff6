"""Identity providers for tests, asked over real HTTP: one that is not ours (a process of its own), and one that can lie."""
