"""Faults in encoder hf: what of a local model's folder is read, and how inputs reach the model."""

from mutations.fault import Fault

HF = "src/ambidex/net/encoders/hf.py"
FOLDER = "src/ambidex/net/encoders/_huggingface.py"
UNIT = "tests/net/test_encoder_hf.py::"

FAULTS = [
    Fault(
        name="hf: a folder's shards may lie anywhere, pickled too",
        file="src/ambidex/net/encoders/_huggingface.py",
        before="    _check_index(folder)\n",
        after="",
        caught_by="tests/net/test_encoder_hf.py::test_a_list_of_shards_names_safetensors_beside_it_alone",
    ),
    Fault(
        name="hf: a folder chooses the program of its attention",
        file="src/ambidex/net/encoders/_huggingface.py",
        before="""            config=net.config,
            attn_implementation="eager",  # the folder's config.json may name one that is downloaded and run
""",
        after="",
        caught_by="tests/net/test_encoder_hf.py::test_what_a_folder_asks_to_be_downloaded_and_run_is_not",
    ),
    Fault(
        name="hf: padding is attended to",
        file=HF,
        before='"attention_mask": real.long()',
        after='"attention_mask": real.long() * 0 + 1',
        caught_by=UNIT + "test_features_are_those_of_the_library[tokens]",
    ),
    Fault(
        name="hf: pictures keep the data's own scale",
        file=HF,
        before="return std / spread, (mean - theirs) / spread",
        after="return torch.tensor(1.0), torch.tensor(0.0)",
        caught_by=UNIT + "test_pictures_are_scaled_as_the_model_was_trained",
    ),
    Fault(
        name="hf: a saved model asks for the folder",
        file=HF,
        before='return {"description": config.description or description_of(Path(config.folder))}',
        after="return {}",
        caught_by=UNIT + "test_a_saved_model_needs_the_library_but_not_the_folder",
    ),
    Fault(
        name="hf: frozen weights drop out",
        file=HF,
        before="super().train(mode and not self.config.frozen)",
        after="super().train(mode)",
        caught_by=UNIT + "test_frozen_weights_stay_and_linear_layers_can_be_replaced",
    ),
    Fault(
        name="hf: pickled weights are tried",
        file=FOLDER,
        before='if not any(folder.glob("*.safetensors")):',
        after="if False:",
        caught_by=UNIT
        + "test_a_folder_that_does_not_fit_is_one_line[pickled-has no .safetensors; weights that are "
        "pickled are not read]",
    ),
    Fault(
        name="hf: hashed words are read as a model's own ids",
        file=HF,
        before='getattr(kind.config, "tokenizer", None) is None',
        after='getattr(kind.config, "tokenizer", None) == ""',
        caught_by="tests/configuration/test_configuration.py::"
        "test_a_published_model_of_texts_does_not_read_hashed_words",
    ),
]
