"""What every explorer of the course is made of: the base, the player, the one plot style, and the export."""

from importlib.util import find_spec

for _name in ("matplotlib", "ipywidgets", "anywidget"):
    if find_spec(_name) is None:
        raise ModuleNotFoundError(
            f'the course needs {_name}: pip install "diffrec-lite[course]", or make lab in a copy of the repository',
            name=_name,
        )
