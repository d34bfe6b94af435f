// Terminal and files: the only code that touches the machine.
