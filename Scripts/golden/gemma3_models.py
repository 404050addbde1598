"""The tiny random Gemma 3 checkpoints that make_gemma3.py writes, in the published layout and in transformers 5's."""

import hashlib
import json
import shutil
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import Gemma3Config, Gemma3ForCausalLM, Gemma3ForConditionalGeneration, Gemma3TextConfig

from fixture_paths import MODELS
from fixture_tokenizer import write_json

TESTS = MODELS.parent.parent
START, MARK, END = "<start_of_image>", "<image_soft_token>", "<end_of_image>"
TEMPLATE = (TESTS / "Fixtures" / "templates" / "gemma3-vision.jinja").read_text()
HALF = [0.5, 0.5, 0.5]
FIRST = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
LAST = ["<start_of_turn>", "<end_of_turn>", START, END, MARK]
VOCABULARY = 832


class Kind(NamedTuple):
    """A fixture: its class, settings beside those that all have, and how it is stored."""
    model: type
    text: dict
    top: dict
    stored: torch.dtype
    new_layout: bool


# The window is smaller than a picture. Another base and another scaling for layers that see everything.
SLIDING = {"sliding_window": 12, "sliding_window_pattern": 2, "rope_theta": 5000.0, "rope_local_base_freq": 50.0}
KINDS = {
    "gemma3": Kind(Gemma3ForConditionalGeneration, {
        **SLIDING, "num_hidden_layers": 3, "num_key_value_heads": 2, "head_dim": 16, "query_pre_attn_scalar": 20,
        "rope_scaling": {"rope_type": "linear", "factor": 2.0}}, {}, torch.bfloat16, False),
    "gemma3-heads": Kind(Gemma3ForConditionalGeneration, {
        "sliding_window": 40, "num_hidden_layers": 2, "num_key_value_heads": 1, "head_dim": 32, "hidden_size": 32,
        "query_pre_attn_scalar": 32, "layer_types": ["full_attention", "sliding_attention"], "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": 2000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 100.0}}},
        {"tie_word_embeddings": False}, torch.float16, True),
    "gemma3-text": Kind(Gemma3ForCausalLM, {
        **SLIDING, "num_hidden_layers": 3, "num_key_value_heads": 4, "head_dim": 16, "query_pre_attn_scalar": 16},
        {}, torch.bfloat16, False),
}
# Searched for: no greedy step of any case is a near tie, no case repeats itself, none writes an image mark.
SEEDS = {"gemma3": "gemma37", "gemma3-heads": "gemma3-heads8", "gemma3-text": "gemma3-text4"}


def make_tokenizer():
    """Pieces of a Llama-like model in the stages of Gemma's tokenizer."""
    content = json.loads((TESTS / "Fixtures" / "pieces" / "llama.json").read_text(encoding="utf-8"))
    # Runs of line ends are tokens, so that those round a picture join with what is beside them.
    lines = ["\n" * count for count in range(1, 7)]
    pieces = [piece for piece in content["model"]["vocab"] if piece not in (*lines, "<unk>", "<s>", "</s>")]
    names = FIRST + pieces + lines + LAST
    added = [
        {"id": number, "content": name, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": name not in lines}
        for number, name in enumerate(names) if name in FIRST + lines + LAST]
    content.update(
        added_tokens=added, normalizer={"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
        pre_tokenizer={"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False},
        decoder={"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"},
            {"type": "Fuse"}]},
        post_processor={
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<bos>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"SpecialToken": {"id": "<bos>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                     {"SpecialToken": {"id": "<bos>", "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<bos>": {"id": "<bos>", "ids": [2], "tokens": ["<bos>"]}}})
    content["model"]["vocab"] = {name: number for number, name in enumerate(names)}
    return Tokenizer.from_str(json.dumps(content))


def text_settings(kind):
    """The values of text_config."""
    return {
        "model_type": "gemma3_text", "hidden_size": 48, "intermediate_size": 80, "max_position_embeddings": 1024,
        "num_attention_heads": 4, "rms_norm_eps": 1e-3, "vocab_size": VOCABULARY, "bos_token_id": 2,
        "eos_token_id": 1, "pad_token_id": 0, **kind.text}


def settings(name, tokenizer):
    """The values of a config."""
    kind = KINDS[name]
    if kind.model is Gemma3ForCausalLM:
        return {**text_settings(kind), **kind.top}
    return {
        "text_config": {**text_settings(kind), **({"tie_word_embeddings": False} if kind.top else {})},
        "vision_config": {
            "model_type": "siglip_vision_model", "hidden_size": 32, "image_size": 48, "intermediate_size": 80,
            "num_attention_heads": 2, "num_hidden_layers": 2, "patch_size": 4, "layer_norm_eps": 1e-3,
            "vision_use_head": False},
        "mm_tokens_per_image": 16, "boi_token_index": tokenizer.token_to_id(START),
        "eoi_token_index": tokenizer.token_to_id(END), "image_token_index": tokenizer.token_to_id(MARK), **kind.top}


def make_model(name, tokenizer, seed):
    """The model with its parameters drawn."""
    kind = KINDS[name]
    config_class = Gemma3TextConfig if kind.model is Gemma3ForCausalLM else Gemma3Config
    return draw(kind.model(config_class(**settings(name, tokenizer))).eval(), kind.stored, tokenizer, seed)


@torch.no_grad()
def draw(model, stored_type, tokenizer, seed):
    """Draws every parameter from its name and the seed, and rounds it to the stored type."""
    model.set_attn_implementation("eager")
    tied = model.config.tie_word_embeddings
    quiet = torch.ones(VOCABULARY, 1)
    quiet[[tokenizer.token_to_id(text) for text in (START, MARK, END)]] = 0.1
    quiet[tokenizer.get_vocab_size():] = 0.1
    for key, parameter in model.named_parameters():
        digest = hashlib.sha256(f"{seed}/{key}".encode()).digest()
        noise = torch.randn(
            parameter.shape, generator=torch.Generator().manual_seed(int.from_bytes(digest[:6], "little")))
        if key.endswith(("language_model.norm.weight", "model.norm.weight")):
            value = 9.0 + 0.3 * noise       # One is added to these,
        elif "norm" in key and key.endswith("weight"):
            value = 0.3 * noise + ("vision_tower" in key)    # and to none of the vision tower's.
        elif key.endswith("bias"):
            value = 0.3 * noise - (1.5 if key.endswith("fc1.bias") else 0.0)  # There the GELUs differ.
        elif key.endswith("embed_tokens.weight"):
            value = (0.04 if tied else 0.12) * noise * quiet
        elif "position_embedding" in key:
            value = 0.7 * noise
        elif key == "lm_head.weight":
            value = noise * quiet * 0.06
        elif key.endswith("mm_input_projection_weight"):
            value = (0.5 if tied else 1.2) * noise / parameter.shape[0] ** 0.5
        else:
            value = (1.3 if "vision_tower" in key else 1.6) * noise / parameter[0].numel() ** 0.5
        parameter.data.copy_(value.to(stored_type).float())
    return model


def save(name, model, tokenizer):
    """The folder of a checkpoint."""
    folder, kind = MODELS / name, KINDS[name]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if kind.new_layout:
        save_file({key: value.to(kind.stored).contiguous() for key, value in model.state_dict().items()},
                  folder / "model.safetensors", metadata={"format": "pt"})
    else:
        model.to(kind.stored).save_pretrained(folder)    # Gives tensors their hub names,
        model.float()
        published = {key.replace("vision_tower.", "vision_tower.vision_model."): value     # all but these.
                     for key, value in load_file(folder / "model.safetensors").items()}
        save_file(published, folder / "model.safetensors", metadata={"format": "pt"})
    config = model.config.to_diff_dict() if kind.new_layout else settings(name, tokenizer)
    for key in ("_name_or_path", "transformers_version", "architectures", "torch_dtype", "dtype"):
        config.pop(key, None)
    write_json(folder / "config.json", {
        "architectures": [kind.model.__name__], **config, "model_type": model.config.model_type,
        "dtype" if kind.new_layout else "torch_dtype": str(kind.stored)[6:]})
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    if kind.model is Gemma3ForConditionalGeneration:
        save_processor(folder, kind)
    content = json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":"))
    (folder / "tokenizer.json").write_text(content + "\n", encoding="utf-8")
    write_json(folder / "generation_config.json", {
        "bos_token_id": 2, "do_sample": False, "eos_token_id": [1, tokenizer.token_to_id("<end_of_turn>")],
        "pad_token_id": 0})
    write_json(folder / "tokenizer_config.json", {
        "add_bos_token": True, "boi_token": START, "bos_token": "<bos>", "eoi_token": END, "eos_token": "<eos>",
        "image_token": MARK, "model_max_length": 1024, "pad_token": "<pad>", "tokenizer_class": "GemmaTokenizer",
        "unk_token": "<unk>"})
    for file in folder.iterdir():
        file.chmod(0o644)


def processing():
    """What the image processor is set to."""
    return {
        "do_normalize": True, "do_pan_and_scan": None, "do_rescale": True, "do_resize": True,
        "image_mean": HALF, "image_std": HALF, "image_processor_type": "Gemma3ImageProcessor", "image_seq_length": 16,
        "resample": 2, "rescale_factor": 1 / 255, "size": {"height": 48, "width": 48}}


def save_processor(folder, kind):
    """How pictures are made ready, in one file or two."""
    both = {"image_seq_length": 16, "processor_class": "Gemma3Processor"}
    if kind.new_layout:
        write_json(folder / "processor_config.json", {**both, "image_processor": processing()})
        return
    write_json(folder / "processor_config.json", both)
    write_json(folder / "preprocessor_config.json", {**processing(), "processor_class": "Gemma3Processor"})


def load(name):
    """The committed checkpoint in float32 with plain attention."""
    model, report = KINDS[name].model.from_pretrained(
        MODELS / name, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
    return model.eval()
