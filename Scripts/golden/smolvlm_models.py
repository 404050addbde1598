"""The tiny random checkpoints of SmolVLM2 and Idefics3 that make_smolvlm.py writes, as the published folders are."""

import json
import shutil
from typing import NamedTuple

import torch
from tokenizers import AddedToken, Tokenizer
from transformers import (
    Idefics3Config, Idefics3ForConditionalGeneration, SmolVLMConfig, SmolVLMForConditionalGeneration,
)

import fixture_tokenizer
import llava_models
from fixture_paths import MODELS
from fixture_tokenizer import write_json

MARK, FAKE, WHOLE = "<image>", "<fake_token_around_image>", "<global-img>"
ROWS = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
BASE = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
PATCH = 8
# As published.
TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}"
    "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}")


class Kind(NamedTuple):
    """A fixture: its classes, special tokens, pictures and towers."""
    config: type
    model: type
    special: list
    tile: int
    longer: int
    scale: int
    tied: bool
    text: dict
    vision: dict
    stored: torch.dtype


KINDS = {
    # The side of a tile is no whole number of patches; names of tiles are tokens.
    "smolvlm": Kind(
        SmolVLMConfig, SmolVLMForConditionalGeneration,
        BASE + [WHOLE, *ROWS, FAKE, MARK, "<end_of_utterance>"], 50, 130, 3, False,
        {"hidden_size": 48, "intermediate_size": 112, "num_attention_heads": 3, "num_key_value_heads": 1,
         "vocab_size": 736, "rms_norm_eps": 1e-2},
        {"hidden_size": 32, "intermediate_size": 72, "num_attention_heads": 2, "num_hidden_layers": 3}, torch.bfloat16),
    # Names of tiles are words.
    "idefics3": Kind(
        Idefics3Config, Idefics3ForConditionalGeneration, BASE + [FAKE, MARK, "<end_of_utterance>"], 48, 96, 2, True,
        {"hidden_size": 64, "intermediate_size": 112, "num_attention_heads": 4, "num_key_value_heads": 2,
         "vocab_size": 704},
        {"hidden_size": 48, "intermediate_size": 80, "num_attention_heads": 3, "num_hidden_layers": 2}, torch.float16),
}
# Searched for: no greedy step of any case is a near tie, no case repeats itself, none writes an image mark.
SEEDS = {"smolvlm": "smolvlm17", "idefics3": "idefics31"}


def make_tokenizer(name):
    """The InternVL fixtures' tokenizer with the family's special tokens."""
    content = json.loads((MODELS / "internvl-qwen2-hf" / "tokenizer.json").read_text())
    tokenizer = Tokenizer.from_str(json.dumps({**content, "added_tokens": []}))
    tokenizer.add_special_tokens(
        [AddedToken(text, special=True, normalized=False) for text in KINDS[name].special])
    return tokenizer


def token_ids(tokenizer):
    """The begin, end and padding ids."""
    return {"bos_token_id": tokenizer.token_to_id("<|im_start|>"),
            "eos_token_id": tokenizer.token_to_id("<end_of_utterance>"),
            "pad_token_id": tokenizer.token_to_id("<|im_end|>")}


def settings(name, tokenizer):
    """The values of a config."""
    kind = KINDS[name]
    return {
        "image_token_id": tokenizer.token_to_id(MARK), "scale_factor": kind.scale, "tie_word_embeddings": kind.tied,
        "text_config": {
            "model_type": "llama", "num_hidden_layers": 2, "max_position_embeddings": 1024, "rope_theta": 1000.0,
            **token_ids(tokenizer), **kind.text},
        "vision_config": {
            "model_type": f"{kind.config.model_type}_vision", "image_size": kind.tile, "patch_size": PATCH,
            "layer_norm_eps": 1e-2, **kind.vision},
    }


def make_model(name, tokenizer, seed):
    """The model with its parameters drawn."""
    kind = KINDS[name]
    model = kind.model(kind.config(**settings(name, tokenizer))).eval()
    model.set_attn_implementation("eager")
    return draw(model, kind, tokenizer, seed)


@torch.no_grad()
def draw(model, kind, tokenizer, seed):
    """Draws every parameter from its name and the seed, and rounds it to the stored type."""
    quiet = torch.ones(kind.text["vocab_size"], 1)
    quiet[[tokenizer.token_to_id(text) for text in kind.special if text in (MARK, FAKE, WHOLE, *ROWS)]] = 0.1
    quiet[tokenizer.get_vocab_size():] = 0.1
    gain = 2.2 if kind.tied else 1.6    # Tied heads repeat their input unless layers outweigh it.
    for key, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=llava_models.generator(seed, key))
        if "norm" in key and key.endswith("weight"):
            value = 1.0 + 0.3 * noise
        elif key.endswith("bias"):
            value = 0.3 * noise - (1.5 if key.endswith("fc1.bias") else 0.0)    # There the GELUs differ.
        elif key.endswith("embed_tokens.weight"):
            value = noise * quiet
        elif "position_embedding" in key:
            value = 0.7 * noise
        elif key == "lm_head.weight":
            value = noise * quiet * 3.0 / parameter.shape[1] ** 0.5
        else:
            scale = 1.3 if "vision_model" in key else 1.5 if "connector" in key else gain
            value = scale * noise / parameter[0].numel() ** 0.5
        parameter.data.copy_(value.to(kind.stored).float())
    return model


def processing(kind):
    """What the image processor of a fixture is set to."""
    name = "SmolVLM" if kind.config is SmolVLMConfig else "Idefics3"
    return {
        "do_convert_rgb": True, "do_image_splitting": True, "do_normalize": True, "do_pad": True, "do_rescale": True,
        "do_resize": True, "image_mean": [0.5, 0.5, 0.5], "image_processor_type": f"{name}ImageProcessor",
        "image_std": [0.5, 0.5, 0.5], "max_image_size": {"longest_edge": kind.tile},
        "processor_class": f"{name}Processor", "resample": 1, "rescale_factor": 1 / 255,
        "size": {"longest_edge": kind.longer}}


def tokens_per_tile(kind):
    """Image tokens of a tile."""
    return (kind.tile // PATCH // kind.scale) ** 2


def save(name, model, tokenizer):
    """The folder of a checkpoint: SmolVLM2's as published, Idefics3's as version 5 writes it."""
    folder, kind = MODELS / name, KINDS[name]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model.to(kind.stored).save_pretrained(folder)
    model.float()
    both = {"image_seq_len": tokens_per_tile(kind)}
    if name == "smolvlm":
        config = settings(name, tokenizer)
        # What published ones have besides, and nothing reads.
        config["text_config"] |= {"is_llama_config": True, "pixel_shuffle_factor": kind.scale, "qk_layer_norms": False,
                                  "rope_interleaved": False, "use_resampler": False, "neftune_noise_alpha": 0.0,
                                  "tie_word_embeddings": True}
        config["vision_config"] |= {"max_image_size": {"longest_edge": kind.tile}, "tie_word_embeddings": False,
                                    "size": {"longest_edge": kind.longer}, "use_base_siglip": False}
        write_json(folder / "config.json", {
            "architectures": [kind.model.__name__], "model_type": "smolvlm", **config, "torch_dtype": "bfloat16",
            "vocab_size": kind.text["vocab_size"]})
        write_json(folder / "processor_config.json", {**both, "processor_class": "SmolVLMProcessor"})
        write_json(folder / "preprocessor_config.json", {
            **processing(kind), "video_sampling": {"fps": 1, "max_frames": 64, "video_size": {"longest_edge": kind.tile}}})
        write_json(folder / "chat_template.json", {"chat_template": TEMPLATE})
    else:
        write_json(folder / "processor_config.json", {
            **both, "image_processor": processing(kind), "processor_class": "Idefics3Processor"})
        (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    save_tokenizer(folder, kind, tokenizer)


def save_tokenizer(folder, kind, tokenizer):
    """The tokenizer and the ids generation begins and ends with."""
    ids = token_ids(tokenizer)
    write_json(folder / "generation_config.json", {**ids, "bos_token_id": 0})
    content = json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":"))
    (folder / "tokenizer.json").write_text(content + "\n", encoding="utf-8")
    config = fixture_tokenizer.tokenizer_config(tokenizer, 1024, hugging_face_layout=True)
    for key in ("added_tokens_decoder", "extra_special_tokens", "context_image_token", "end_image_token",
                "start_image_token", "video_token", "processor_class"):
        del config[key]
    write_json(folder / "tokenizer_config.json", {
        **config, "additional_special_tokens": [FAKE, MARK, "<end_of_utterance>"], "bos_token": "<|im_start|>",
        "eos_token": "<end_of_utterance>", "pad_token": "<|im_end|>", "tokenizer_class": "PreTrainedTokenizerFast"})
    for file in folder.iterdir():
        file.chmod(0o644)


def load(name):
    """The committed checkpoint in float32 with plain attention."""
    model, report = KINDS[name].model.from_pretrained(
        MODELS / name, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
    return model.eval()
