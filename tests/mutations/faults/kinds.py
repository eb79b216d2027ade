"""Faults in what a kind owns: reading, statistics, normalisation, augmentation; and in the encoder of sequences."""

from mutations.fault import Fault

RAGGED = "src/ambidex/data/ragged.py"
SEQUENCE = "src/ambidex/data/kinds/sequence.py"
STRETCHES = "src/ambidex/data/kinds/_stretches.py"
CNN = "src/ambidex/net/encoders/sequence_cnn.py"
UNIT = "tests/data/test_sequences.py::"
ENCODERS = "tests/net/test_encoders.py::"
STATISTICS = UNIT + "test_statistics_count_real_steps_and_padding_is_zero_after_normalisation"
PADDING = ENCODERS + "test_padding_changes_no_bit_of_a_feature"

TEXTS = "tests/data/test_texts.py::"

OF_KINDS = "tests/net/test_encoders_of_kinds.py::"

FLOW = "tests/data/test_flow.py::"

FAULTS = [
    Fault(
        name="flow: a flip leaves the direction as it was",
        file="src/ambidex/data/kinds/_crops.py",
        before="None, None], _LARGEST - own, own)",
        after="None, None], own, own)",
        caught_by=FLOW + "test_a_flip_turns_u_round_and_leaves_v",
    ),
    Fault(
        name="flow: v is read from the folder of u",
        file="src/ambidex/data/media/flow.py",
        before="folders = [Path(cell).parent, _sibling(Path(cell).parent)]",
        after="folders = [Path(cell).parent, Path(cell).parent]",
        caught_by=FLOW + "test_fields_are_taken_at_the_centres_of_equal_parts[3-places0]",
    ),
    Fault(
        name="flow: the last pair has no next picture",
        file="src/ambidex/data/media/frames.py",
        before="len(times) - 1 - want.count + part)",
        after="len(times) - 1)",
        caught_by=FLOW + "test_pairs_are_neighbours_each_after_the_one_before",
    ),
    Fault(
        name="sequence_gru: padding is read",
        file="src/ambidex/net/encoders/sequence_gru.py",
        before="real[..., 0].sum(1).clamp_min(1)",
        after="(real[..., 0].sum(1) * 0 + x.shape[1])",
        caught_by=OF_KINDS + "test_states_follow_the_equations_over_real_steps_alone",
    ),
    Fault(
        name="ast: patches do not overlap",
        file="src/ambidex/net/encoders/_patches.py",
        before="images.unfold(3, side, self.stride)",
        after="images.unfold(3, side, side)",
        caught_by=OF_KINDS + "test_patches_of_a_spectrogram_overlap_as_its_stride_says",
    ),
    Fault(
        name="text: what stands in padding is a word",
        file="src/ambidex/net/encoders/_words.py",
        before="return torch.where(real, values, 0)[..., 0].long(), real[..., 0]",
        after="return values[..., 0].long(), real[..., 0] | True",
        caught_by=OF_KINDS + "test_what_stands_in_padding_changes_no_bit",
    ),
    Fault(
        name="waveform: a shift is not circular",
        file="src/ambidex/data/kinds/waveform.py",
        before="(torch.arange(length, device=x.device) - shift) % length",
        after="(torch.arange(length, device=x.device) - shift).clamp(0, length - 1)",
        caught_by="tests/data/test_waveforms.py::test_a_shift_is_circular_and_noise_is_in_deviations",
    ),
    Fault(
        name="text: ids beyond the vocabulary are stored",
        file="src/ambidex/data/kinds/_tokenizers.py",
        before="if ids and max(ids) >= vocabulary:",
        after="if False:",
        caught_by="tests/data/test_texts.py::test_a_tokenizer_whose_ids_nobody_could_embed_is_one_line",
    ),
    Fault(
        name="kinds: a hashed word may have the id of padding",
        file="src/ambidex/data/kinds/_tokenizers.py",
        before="return 1 + number % (vocabulary - 1)",
        after="return number % (vocabulary - 1)",
        caught_by=TEXTS + "test_a_word_is_hashed_as_the_page_says",
    ),
    Fault(
        name="kinds: the first token of a text is left out",
        file="src/ambidex/data/kinds/text.py",
        before="        gone[:, 0] = False\n",
        after="",
        caught_by=TEXTS + "test_tokens_are_left_out_but_never_the_first",
    ),
    Fault(
        name="kinds: a tokenizer cuts its own end mark",
        file="src/ambidex/data/kinds/_tokenizers.py",
        before="tokenizer.enable_truncation(length)",
        after="tokenizer.no_truncation()",
        caught_by=TEXTS + "test_a_tokenizer_gives_its_own_ids_with_its_marks",
    ),
    Fault(
        name="prepare: two samples are copies because their short texts are equal",
        file="src/ambidex/data/datasets/_content.py",
        before="_value(column[place], root, modality in texts)",
        after="b'' if modality in texts else _value(column[place], root, False)",
        caught_by=TEXTS + "test_an_equal_text_is_a_copy_only_where_the_whole_sample_is_equal",
    ),
    Fault(
        name="kinds: padding counts in the statistics",
        file=RAGGED,
        before="sample[sample[:, -1] > 0, :-1]",
        after="sample[:, :-1]",
        caught_by=STATISTICS,
    ),
    Fault(
        name="kinds: padding is normalised as if it were real",
        file=SEQUENCE,
        before="torch.where(real, (values - mean) / std, values.new_zeros(()))",
        after="(values - mean) / std",
        caught_by=STATISTICS,
    ),
    Fault(
        name="kinds: the length is that of the longest sample of all splits",
        file=SEQUENCE,
        before='[row for row in rows if row.split == "train"]',
        after="list(rows)",
        caught_by=UNIT + "test_the_length_is_that_of_the_longest_training_sample",
    ),
    Fault(
        name="kinds: a sample with other columns is taken",
        file=SEQUENCE,
        before="if sequence.shape[1] != channels:",
        after="if False:",
        caught_by=UNIT + "test_a_sequence_is_cut_padded_or_stretched_to_its_length",
    ),
    Fault(
        name="kinds: a stretch is a share of the padded length",
        file=STRETCHES,
        before="(share * steps).floor()",
        after="(share * x.shape[1] + 0 * steps).floor()",
        caught_by=UNIT + "test_a_stretch_is_one_run_within_the_samples_own_steps_filled_with_its_mean",
    ),
    Fault(
        name="kinds: noise falls on padding",
        file=STRETCHES,
        before="torch.where(real, values + noise, values)",
        after="values + noise",
        caught_by=UNIT + "test_augmentation_leaves_padding_and_mask_alone",
    ),
    Fault(
        name="kinds: a first row of numbers is lost",
        file="src/ambidex/data/media/csv_header.py",
        before="        _check_no_count(names)\n        return 0\n",
        after="        _check_no_count(names)\n        return 1\n",
        caught_by=UNIT + "test_every_form_gives_the_table",
    ),
    Fault(
        name="kinds: a film is a picture",
        file="src/ambidex/data/media/frames.py",
        before="any(want.still for want in requests)",
        after="False",
        caught_by="tests/data/test_kinds.py::test_one_picture_is_what_frames_make_of_it_and_a_film_is_refused",
    ),
    Fault(
        name="sequence_cnn: the mean is over padding too",
        file=CNN,
        before="/ real.sum(1).clamp_min(1)",
        after="/ real.shape[1]",
        caught_by=ENCODERS + "test_a_feature_is_the_mean_over_real_steps_before_the_last_layer",
    ),
    Fault(
        name="sequence_cnn: padding leaks into a convolution",
        file=CNN,
        before="torch.where(real, self.norm(x), 0)",
        after="self.norm(x)",
        caught_by=PADDING,
    ),
    Fault(
        name="sequence_cnn: common padding is computed with",
        file=CNN,
        before="parted(_without_common_padding(x))",
        after="parted(x)",
        caught_by=PADDING,
    ),
]
