"""Every interactive explorer of the course, each a thin face on a pure function that a test can call.

`base.py` makes an explorer from two functions, one that draws and one that says in words what is drawn. `player.py` is
the trajectory player. `export.py` writes a notebook, explorers included, as one HTML file that needs no network.
"""
