"""Faults in reading media: where sound lies, which picture is shown, which file is whole."""

from mutations.fault import Fault

MEDIA = "src/ambidex/data/media/"
CLOCK = "tests/data/test_media_clock.py::"
FRAMES = "tests/data/test_media_frames.py::"
WHOLE = "tests/data/test_media_wholeness.py::"
DAMAGE = "tests/data/test_media_damage.py::"
PLACES = CLOCK + "test_clicks_lie_where_they_are_heard"

FAULTS = [
    Fault(
        name="media: sound starts with its own first sample",
        file=MEDIA + "sound.py",
        before="if len(runs) == 1 and round(runs[0].start * rate) == 0:",
        after="if len(runs) == 1:",
        caught_by=PLACES,
    ),
    Fault(
        name="media: holes in the sound are closed",
        file=MEDIA + "sound.py",
        before="if abs(step) <= _JITTER or",
        after="if step or",
        caught_by=PLACES,
    ),
    Fault(
        name="media: rounded clocks make holes",
        file=MEDIA + "sound.py",
        before="_JITTER = 0.015",
        after="_JITTER = 0.0",
        caught_by=CLOCK + "test_clocks_that_round_make_no_holes",
    ),
    Fault(
        name="media: a joined recording is taken for sound heard twice",
        file=MEDIA + "sound.py",
        before="_NEW_CLOCK = 1.0",
        after="_NEW_CLOCK = 1e9",
        caught_by=CLOCK + "test_two_recordings_joined_are_heard_one_after_the_other",
    ),
    Fault(
        name="media: only wanted streams have a clock",
        file=MEDIA + "tracks.py",
        before="if _usable(stream) and stream.start_time is not None",
        after='if stream.type == "audio" and stream.start_time is not None',
        caught_by=PLACES,
    ),
    Fault(
        name="media: one picture late",
        file=MEDIA + "frames.py",
        before="sum(time < until for time in left)",
        after="sum(time <= until for time in left)",
        caught_by=FRAMES + "test_pictures_of_every_codec_are_those_of_a_full_decode",
    ),
    Fault(
        name="media: wrong times are believed",
        file=MEDIA + "frames.py",
        before="before is not None and begin <= before",
        after="before is not None and begin <= before - 10**9",
        caught_by=FRAMES + "test_pictures_of_every_codec_are_those_of_a_full_decode[h264, avi]",
    ),
    Fault(
        name="media: guessed pictures are accepted",
        file=MEDIA + "frames.py",
        before="if started and frame.is_corrupt:",
        after="if False:",
        caught_by=DAMAGE + "test_damaged_films_never_become_other_pictures",
    ),
    Fault(
        name="media: decoders are not asked for damage",
        file=MEDIA + "wholeness.py",
        before='_CHECKING = {"mjpeg", "png", "apng", "flac"}',
        after='_CHECKING = {"apng"}',
        caught_by=(
            DAMAGE + "test_png_and_flac_carry_checksums",
            DAMAGE + "test_a_photograph_that_lost_its_rhythm_is_rejected",
        ),
    ),
    Fault(
        name="media: mirrored photographs stay mirrored",
        file=MEDIA + "orientation.py",
        before="2: Turn(flip_columns=True)",
        after="2: Turn()",
        caught_by=FRAMES + "test_photographs_are_turned_as_their_exif_says",
    ),
    Fault(
        name="media: films are turned the other way",
        file=MEDIA + "orientation.py",
        before="Turn(transpose=True, flip_rows=c < 0, flip_columns=b < 0)",
        after="Turn(transpose=True, flip_rows=b < 0, flip_columns=c < 0)",
        caught_by=FRAMES + "test_a_film_is_turned_as_its_display_matrix_says",
    ),
    Fault(
        name="media: the first track, not the default",
        file=MEDIA + "tracks.py",
        before="return default or streams[0]",
        after="return streams[0]",
        caught_by=FRAMES + "test_the_default_track_is_taken_and_a_cover_is_none",
    ),
    Fault(
        name="media: a tile is a picture",
        file=MEDIA + "tracks.py",
        before="if default is None and parts:",
        after="if False:",
        caught_by=FRAMES + "test_a_picture_made_of_tiles_is_not_supported_and_one_without_is_read",
    ),
    Fault(
        name="media: each stream is as long as the file",
        file=MEDIA + "wholeness.py",
        before='_check_end(\n            "file", max(t.end for t in read)',
        after='_check_end(\n            "file", min(t.end for t in read)',
        caught_by=WHOLE + "test_streams_may_start_and_end_when_they_like[flv]",
    ),
    Fault(
        name="media: the demuxer's marks are not looked at",
        file=MEDIA + "wholeness.py",
        before="if track.last_incomplete:",
        after="if False:",
        caught_by=WHOLE + "test_cut_films_are_refused_whatever_is_wanted_of_them",
    ),
    Fault(
        name="media: the index of an mp4 is believed",
        file=MEDIA + "wholeness.py",
        before='if "mov" in names:',
        after="if False:",
        caught_by=WHOLE + "test_films_that_lose_a_packet_or_two_at_the_end_are_refused[fast.mp4]",
    ),
    Fault(
        name="media: a cut mkv is whole",
        file=MEDIA + "wholeness.py",
        before='elif "matroska" in names and missing:',
        after="elif False:",
        caught_by=WHOLE + "test_films_that_lose_a_packet_or_two_at_the_end_are_refused",
    ),
    Fault(
        name="media: what stands behind a photograph is part of it",
        file=MEDIA + "structure.py",
        before="        if kind == 0xD9:\n            return 0\n        place = mark",
        after="        if kind == 0xD9:\n            return len(data) - mark.end()\n        place = mark",
        caught_by=WHOLE + "test_cut_pictures_are_refused_and_what_follows_a_picture_is_not_looked_at",
    ),
    Fault(
        name="media: tags are needed",
        file=MEDIA + "container.py",
        before='metadata_errors="replace"',
        after='metadata_errors="strict"',
        caught_by=WHOLE + "test_a_wav_is_as_long_as_its_samples_and_its_header_may_be_a_little_off",
    ),
    Fault(
        name="media: planes of many channels",
        file=MEDIA + "sound.py",
        before=".reshape(-1, channels).mean(axis=1)",
        after=".reshape(channels, -1).mean(axis=0)",
        caught_by=CLOCK + "test_sound_of_many_channels_is_their_mean",
    ),
]
