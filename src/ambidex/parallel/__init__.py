"""One stage on several devices: who starts the processes, and what each of them is."""
