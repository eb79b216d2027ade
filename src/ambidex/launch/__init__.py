"""One stage on several devices or nodes: who starts the processes, and what each of them is."""
