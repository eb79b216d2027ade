"""What kinds of ready numbers share: a cell names an array of a .npy, .npz or .csv file."""

from ambidex.data.kinds import Kind


class ArrayKind(Kind):
    """Numbers as they stand in a file."""

    @staticmethod
    def file_of(cell: str) -> str:
        """The path before the array and the row."""
        from ambidex.data.media.addresses import file_of

        return file_of(cell)
