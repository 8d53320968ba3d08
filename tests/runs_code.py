"""An object whose pickle runs code."""

import os


class RunsCode:
    """Unpickling this would make a folder."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)
