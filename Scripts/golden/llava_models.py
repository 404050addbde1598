"""The tiny random LLaVA checkpoints that make_llava.py writes, in the published layout and in that of transformers 5."""

import hashlib
import json
import shutil
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer
from transformers import (
    LlavaConfig, LlavaForConditionalGeneration, LlavaNextConfig, LlavaNextForConditionalGeneration,
    LlavaOnevisionConfig, LlavaOnevisionForConditionalGeneration,
)

import fixture_tokenizer
from fixture_paths import MODELS
from fixture_tokenizer import write_json
from make_models import token_ids

CLIP = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
HALF = [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]
MARK = "<image>"
SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", MARK]
TEMPLATE = fixture_tokenizer.PARTS_TEMPLATE.replace("<IMG_CONTEXT>", MARK).replace("<video>", "<clip>")
PATCH = 8


class Kind(NamedTuple):
    """A fixture: its classes, towers, side of a view in pixels, and how pictures become features."""
    config: type
    model: type
    text: str
    vision: str
    side: int
    top: dict
    look: tuple
    stored: torch.dtype = torch.bfloat16
    new_layout: bool = False


KINDS = {
    "llava": Kind(LlavaConfig, LlavaForConditionalGeneration, "llama", "clip_vision_model", 40, {
        "image_seq_length": 25, "projector_hidden_act": "gelu", "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default"}, CLIP, torch.float16),
    # The side is no whole number of patches; two layers side by side.
    "llava-siglip": Kind(LlavaConfig, LlavaForConditionalGeneration, "qwen2", "siglip_vision_model", 44, {
        "image_seq_length": 25, "projector_hidden_act": "gelu", "vision_feature_layer": [1, -1],
        "vision_feature_select_strategy": "full", "multimodal_projector_bias": False}, HALF, new_layout=True),
    "llava-next": Kind(LlavaNextConfig, LlavaNextForConditionalGeneration, "mistral", "clip_vision_model", 40, {
        "image_seq_length": 25, "projector_hidden_act": "gelu", "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default",
        "image_grid_pinpoints": [[40, 80], [80, 40], [80, 80], [120, 40], [40, 120]]}, CLIP, torch.float16),
    # At most twice the tokens of a view, beside those of the first.
    "llava-onevision": Kind(
        LlavaOnevisionConfig, LlavaOnevisionForConditionalGeneration, "qwen2", "siglip_vision_model", 44, {
            "projector_hidden_act": "gelu", "vision_feature_layer": -1, "vision_feature_select_strategy": "full",
            "vision_aspect_ratio": "anyres_max_2", "image_grid_pinpoints": [
                [44 * rows, 44 * columns] for rows in (1, 2, 3) for columns in (1, 2, 3)]}, HALF, new_layout=True),
}
# Searched for: no greedy step of any case is a near tie, no case repeats itself, none writes an image mark.
SEEDS = {"llava": "llava55", "llava-siglip": "llava-siglip58", "llava-next": "llava-next27",
         "llava-onevision": "llava-onevision15"}


def make_tokenizer():
    """The InternVL fixtures' tokenizer with LLaVA's mark of a picture."""
    content = json.loads((MODELS / "internvl-qwen2-hf" / "tokenizer.json").read_text())
    tokenizer = Tokenizer.from_str(json.dumps({**content, "added_tokens": []}))
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL_TOKENS])
    return tokenizer


def text_settings(kind, tokenizer):
    """The values of text_config."""
    llama = kind.text == "llama"
    return {
        "model_type": kind.text, "hidden_act": "silu", "hidden_size": 48,
        "intermediate_size": 112, "max_position_embeddings": 1024, "num_attention_heads": 3 if llama else 4,
        "num_hidden_layers": 2, "num_key_value_heads": 1 if llama else 2, "rms_norm_eps": 1e-2, "vocab_size": 704,
        "tie_word_embeddings": False, **token_ids(tokenizer),
        **({"sliding_window": None} if kind.text == "mistral" else {}),
    }


def vision_settings(kind):
    """The values of vision_config."""
    clip = kind.vision == "clip_vision_model"
    return {
        "model_type": kind.vision, "hidden_size": 32, "image_size": kind.side,
        "intermediate_size": 72, "num_attention_heads": 2 if clip else 4, "num_hidden_layers": 4, "patch_size": PATCH,
        "layer_norm_eps": 1e-3, **({"projection_dim": 16, "vocab_size": 704} if clip else {"vision_use_head": False}),
    }


def settings(name, tokenizer):
    """The values of a config."""
    kind = KINDS[name]
    return {
        "text_config": text_settings(kind, tokenizer), "vision_config": vision_settings(kind),
        "image_token_index": tokenizer.token_to_id(MARK),
        **({"video_token_index": 703} if kind.config is LlavaOnevisionConfig else {}), "tie_word_embeddings": False, **kind.top}


def make_model(name, tokenizer, seed):
    """The model with its parameters drawn."""
    kind = KINDS[name]
    model = kind.model(kind.config(**settings(name, tokenizer))).eval()
    return draw(model, kind.stored, tokenizer, seed)


def generator(seed, key):
    """Random numbers that depend on the seed and a parameter's name."""
    digest = hashlib.sha256(f"{seed}/{key}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:6], "little"))


@torch.no_grad()
def draw(model, stored_type, tokenizer, seed):
    """Draws every parameter from its name and the seed, and rounds it to the stored type."""
    model.set_attn_implementation("eager")
    quiet = torch.ones(model.config.text_config.vocab_size, 1)
    quiet[tokenizer.token_to_id(MARK)] = 0.1
    quiet[tokenizer.get_vocab_size():] = 0.1
    for key, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator(seed, key))
        if "norm" in key and key.endswith("weight"):
            value = 1.0 + 0.3 * noise
        elif key.endswith("bias"):
            value = 0.3 * noise - (1.5 if key.endswith(("fc1.bias", "linear_1.bias")) else 0.0)  # There the GELUs differ.
        elif key.endswith("embed_tokens.weight"):
            value = noise * quiet
        elif "position_embedding" in key or "class_embedding" in key or "image_newline" in key:
            value = 0.7 * noise
        elif key == "lm_head.weight":
            value = noise * quiet * 3.0 / parameter.shape[1] ** 0.5
        else:
            gain = 1.3 if "vision_tower" in key else 1.6
            gain = (3.0 if model.config.multimodal_projector_bias else 8.0) if "linear_2" in key else gain
            value = gain * noise / parameter[0].numel() ** 0.5
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
    for key in ("_name_or_path", "transformers_version", "architectures", "torch_dtype", "dtype", "model_type"):
        config.pop(key, None)
    stored = {"dtype" if kind.new_layout else "torch_dtype": str(kind.stored)[6:]}
    write_json(folder / "config.json", {
        "architectures": [kind.model.__name__], "model_type": kind.config.model_type, **config, **stored})
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    save_processor(folder, kind)
    save_tokenizer(folder, tokenizer)


def processing(kind):
    """What the image processor of a fixture is set to."""
    clip = kind.vision == "clip_vision_model"
    values = {"do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True,
              "image_mean": kind.look[0], "image_std": kind.look[1], "resample": 3, "rescale_factor": 1 / 255}
    if "image_grid_pinpoints" in kind.top:
        values.update(do_pad=True, image_grid_pinpoints=kind.top["image_grid_pinpoints"])
    if kind.config is LlavaOnevisionConfig:
        return {**values, "size": {"height": kind.side, "width": kind.side},
                "image_processor_type": "LlavaOnevisionImageProcessor"}
    if clip:
        name = "LlavaNext" if kind.config is LlavaNextConfig else "CLIP"
        return {**values, "do_center_crop": True, "crop_size": {"height": kind.side, "width": kind.side},
                "size": {"shortest_edge": kind.side}, "image_processor_type": f"{name}ImageProcessor"}
    return {**values, "size": {"height": kind.side, "width": kind.side}, "image_processor_type": "SiglipImageProcessor"}


def save_processor(folder, kind):
    """How pictures and marks are made ready, in one file or two."""
    name = kind.model.__name__.replace("ForConditionalGeneration", "Processor")
    clip = kind.vision == "clip_vision_model"
    both = {"image_token": MARK, "num_additional_image_tokens": 1 if clip else 0, "patch_size": PATCH,
            "processor_class": name, "vision_feature_select_strategy": kind.top["vision_feature_select_strategy"]}
    if kind.config is LlavaOnevisionConfig:
        both = {"image_token": MARK, "num_image_tokens": (kind.side // PATCH) ** 2, "processor_class": name,
                "vision_aspect_ratio": kind.top["vision_aspect_ratio"],
                "vision_feature_select_strategy": kind.top["vision_feature_select_strategy"]}
    if kind.new_layout:
        write_json(folder / "processor_config.json", {**both, "image_processor": processing(kind)})
        return
    write_json(folder / "processor_config.json", both)
    write_json(folder / "preprocessor_config.json", {**processing(kind), "processor_class": name})


def save_tokenizer(folder, tokenizer):
    """The tokenizer and the ids generation begins and ends with."""
    ids = token_ids(tokenizer)
    write_json(folder / "generation_config.json", {
        **ids, "do_sample": False, "eos_token_id": [ids["eos_token_id"], ids["pad_token_id"]]})
    content = json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":"))
    (folder / "tokenizer.json").write_text(content + "\n", encoding="utf-8")
    added = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    config = fixture_tokenizer.tokenizer_config(tokenizer, 1024, hugging_face_layout=False)
    del config["chat_template"]
    write_json(folder / "tokenizer_config.json", {
        **config, "additional_special_tokens": SPECIAL_TOKENS[1:], "added_tokens_decoder": {
            str(tokenizer.token_to_id(text)): {"content": text, **added} for text in SPECIAL_TOKENS}})
    for file in folder.iterdir():
        file.chmod(0o644)


def load(name):
    """The committed checkpoint in float32 with plain attention."""
    model, report = KINDS[name].model.from_pretrained(
        MODELS / name, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
    return model.eval()
