"""Makes the tiny random InternVL checkpoints under Tests/Fixtures/models, in the published layouts.

Weights are drawn tensor by tensor from a generator seeded with the tensor's name, rounded to the stored type, and far
enough from their initial values (norms, biases, layer scales, positions) that leaving one out changes the answer.

    python make_models.py [--train-tokenizer] [NAME...]
"""

import argparse
import hashlib
import json
import shutil

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import (
    InternVLConfig, InternVLForConditionalGeneration, LlamaConfig, MistralConfig, Phi3Config, Qwen2Config, Qwen3Config,
)
from transformers.models.internvl.configuration_internvl import InternVLVisionConfig

import fixture_tokenizer
import internlm2
from fixture_paths import MODELS
from fixture_tokenizer import write_json
from opengvlab_layout import opengvlab_config, opengvlab_name_and_tensors

TILE = 112
TOKENS_PER_TILE = 16
TOKENIZER_ENTRIES = 700
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
# Factors of LongRoPE, one a pair of turning values.
PHI3_SHORT, PHI3_LONG = [1.0, 1.05, 1.1, 1.3, 1.7, 2.2], [1.1, 1.6, 2.9, 5.5, 11.0, 19.0]
# Searched for: no greedy step of any case is a near tie, no case repeats itself, none writes an image mark.
SEEDS = {
    "qwen2": "qwen2597", "llama": "llama2276", "qwen3": "qwen3113", "phi3": "phi3293", "mistral": "mistral403",
    "internlm2": "internlm2186",
}


def qwen2_config(tokenizer):
    """Qwen2 text with biases and a padded vocabulary; a 300M-like tower (LayerNorm, qkv biases)."""
    padded = -(-tokenizer.get_vocab_size() // 64) * 64
    padded += 64 if padded == tokenizer.get_vocab_size() else 0
    return InternVLConfig(
        text_config=Qwen2Config(
            vocab_size=padded, hidden_size=64, intermediate_size=112, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=1024, rms_norm_eps=1e-6, tie_word_embeddings=False,
            rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}, **token_ids(tokenizer),
        ),
        vision_config=InternVLVisionConfig(
            hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=3, image_size=TILE,
            patch_size=14, norm_type="layer_norm", layer_norm_eps=1e-2, attention_bias=True, use_qk_norm=False,
        ),
        image_token_id=tokenizer.token_to_id("<IMG_CONTEXT>"), image_seq_length=TOKENS_PER_TILE,
        tie_word_embeddings=False,
    )


def llama_config(tokenizer):
    """Llama text (llama3 RoPE, its own head size, tied embeddings); a 6B-like tower (RMSNorm, q and k norms)."""
    return InternVLConfig(
        text_config=LlamaConfig(
            vocab_size=tokenizer.get_vocab_size(), hidden_size=48, intermediate_size=88, num_hidden_layers=2,
            num_attention_heads=6, num_key_value_heads=2, head_dim=16, max_position_embeddings=512,
            rms_norm_eps=1e-2, tie_word_embeddings=True,
            rope_parameters={
                "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
            }, **token_ids(tokenizer),
        ),
        vision_config=InternVLVisionConfig(
            hidden_size=32, intermediate_size=56, num_hidden_layers=2, num_attention_heads=2, image_size=TILE,
            patch_size=14, norm_type="rms_norm", attention_bias=False, use_qk_norm=True,
        ),
        image_token_id=tokenizer.token_to_id("<IMG_CONTEXT>"), image_seq_length=TOKENS_PER_TILE,
        tie_word_embeddings=True,
    )


def small_config(tokenizer, text_class, **text):
    """Two heads of vision and 40 values of text; what makes `text_class` differ from the others is in `text`."""
    sizes = {
        "vocab_size": tokenizer.get_vocab_size(), "hidden_size": 40, "intermediate_size": 72, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 1024, "rms_norm_eps": 1e-2,
        "tie_word_embeddings": False, **token_ids(tokenizer),
    }
    return InternVLConfig(
        text_config=text_class(**{**sizes, **text}),
        vision_config=InternVLVisionConfig(
            hidden_size=32, intermediate_size=56, num_hidden_layers=2, num_attention_heads=2, image_size=TILE,
            patch_size=14, norm_type="layer_norm", attention_bias=True, use_qk_norm=False,
        ),
        image_token_id=tokenizer.token_to_id("<IMG_CONTEXT>"), image_seq_length=TOKENS_PER_TILE,
        tie_word_embeddings=False,
    )


def qwen3_config(tokenizer):
    """Qwen3 text: norms over each head, a head size that is not hidden size by heads, no biases."""
    return small_config(tokenizer, Qwen3Config, head_dim=16, rope_parameters={
        "rope_type": "default", "rope_theta": 1000000.0})


def phi3_config(tokenizer):
    """Phi-3 text: two fused matrices, LongRoPE on three fifths of a head, a window as long as the context."""
    return small_config(
        tokenizer, Phi3Config, num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=2048,
        original_max_position_embeddings=512, sliding_window=2048, rope_parameters={
            "rope_type": "longrope", "rope_theta": 10000.0, "partial_rotary_factor": 0.6,
            "short_factor": PHI3_SHORT, "long_factor": PHI3_LONG})


def mistral_config(tokenizer):
    """Mistral text: Llama's shape with a head size of its own and no window."""
    return small_config(tokenizer, MistralConfig, head_dim=16, sliding_window=None, rope_parameters={
        "rope_type": "default", "rope_theta": 1000000.0})


def internlm2_config(tokenizer):
    """The sizes of InternLM2 text, by Llama's configuration."""
    return small_config(tokenizer, LlamaConfig, rope_parameters={"rope_type": "default", "rope_theta": 1000000.0})


def internlm2_settings(text):
    """InternLM2 text as a published folder's `llm_config`: biases in attention, dynamic RoPE."""
    shared = ["bos_token_id", "eos_token_id", "hidden_act", "hidden_size", "initializer_range", "intermediate_size",
              "max_position_embeddings", "num_attention_heads", "num_hidden_layers", "num_key_value_heads",
              "pad_token_id", "rms_norm_eps", "vocab_size"]
    return {
        **{key: getattr(text, key) for key in shared}, "architectures": ["InternLM2ForCausalLM"],
        "attn_implementation": "eager", "auto_map": {
            "AutoConfig": "configuration_internlm2.InternLM2Config",
            "AutoModel": "modeling_internlm2.InternLM2ForCausalLM",
            "AutoModelForCausalLM": "modeling_internlm2.InternLM2ForCausalLM",
        },
        "bias": True, "model_type": "internlm2", "rope_scaling": {"factor": 2.0, "type": "dynamic"},
        "rope_theta": 1000000.0, "tie_word_embeddings": False,
    }


def token_ids(tokenizer):
    """The begin, end and padding ids a text config names."""
    return {
        "bos_token_id": tokenizer.token_to_id("<|endoftext|>"), "eos_token_id": tokenizer.token_to_id("<|im_end|>"),
        "pad_token_id": tokenizer.token_to_id("<|endoftext|>"),
    }


def randomise(model, stored_type, tokenizer, seed):
    """Draws every parameter afresh and rounds it to `stored_type`."""
    quiet = torch.ones(model.config.text_config.vocab_size, 1)
    quiet[tokenizer.token_to_id("<IMG_CONTEXT>")] = 0.1     # Greedy decoding should not write image marks,
    quiet[tokenizer.get_vocab_size():] = 0.1                # nor ids the tokenizer does not know.
    tied = model.config.tie_word_embeddings
    gain = 2.2 if tied else 1.6                             # Tied heads repeat their input unless layers outweigh it.
    for name, parameter in model.named_parameters():
        digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:6], "little"))
        noise = torch.randn(parameter.shape, generator=generator)
        if name.endswith(("lambda_1", "lambda_2")):
            value = 0.6 + 0.3 * noise
        elif "norm" in name and name.endswith("weight"):
            value = 1.0 + 0.3 * noise
        elif name.endswith("bias"):
            value = 0.3 * noise
        elif name.endswith(("cls_token", "position_embeddings")):
            value = 0.5 * noise
        elif name.endswith(("embed_tokens.weight", "tok_embeddings.weight")):
            value = noise * quiet * (0.3 if tied else 1.0)
        elif name.endswith(("lm_head.weight", ".output.weight")):
            value = noise * quiet * 3.0 / parameter.shape[1] ** 0.5
        else:
            fan_in = parameter[0].numel()
            value = gain * noise / fan_in ** 0.5
        with torch.no_grad():
            parameter.copy_(value.to(stored_type).float())


def save_hugging_face(model, folder, stored_type, tokenizer, shard_size, generation):
    """One folder in the layout `save_pretrained` writes, with the processor files hub folders hold."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model.to(stored_type)
    model.config.dtype = stored_type
    model.save_pretrained(folder, max_shard_size=shard_size)
    model.float()
    write_json(folder / "generation_config.json", generation)
    write_json(folder / "preprocessor_config.json", {
        "crop_to_patches": False, "data_format": "channels_first", "default_to_square": True, "do_convert_rgb": True,
        "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": MEAN, "image_std": STD,
        "image_processor_type": "GotOcr2ImageProcessorFast", "max_patches": 12, "min_patches": 1,
        "processor_class": "InternVLProcessor", "resample": 3, "rescale_factor": 0.00392156862745098,
        "size": {"height": TILE, "width": TILE},
    })
    write_json(folder / "processor_config.json", {
        "image_seq_length": TOKENS_PER_TILE, "processor_class": "InternVLProcessor"})
    fixture_tokenizer.save(tokenizer, folder, model.config.text_config.max_position_embeddings, True)


def save_opengvlab(model, folder, stored_type, tokenizer, generation, llm=None):
    """The same weights in OpenGVLab's internvl_chat layout, with the CLIP preprocessor file those folders carry."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tensors = {name: tensor.to(stored_type).contiguous() for name, tensor in opengvlab_name_and_tensors(model)}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    write_json(folder / "config.json", opengvlab_config(model.config, stored_type, llm))
    write_json(folder / "generation_config.json", {"_from_model_config": True, **generation,
                                                   "transformers_version": "4.37.2"})
    # Left over from the tower's pre-training: no size or filter in it describes what the model is fed.
    write_json(folder / "preprocessor_config.json", {
        "crop_size": 448, "do_center_crop": True, "do_normalize": True, "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": MEAN, "image_std": STD, "resample": 3,
        "size": 448,
    })
    fixture_tokenizer.save(tokenizer, folder, model.config.text_config.max_position_embeddings, False)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--train-tokenizer", action="store_true", help="train even where one is committed")
    arguments.add_argument("names", nargs="*", help="the text towers to make again; all when left out")
    arguments = arguments.parse_args()
    committed = MODELS / "internvl-qwen2-hf" / "tokenizer.json"
    if committed.exists() and not arguments.train_tokenizer:
        tokenizer = Tokenizer.from_file(str(committed))
    else:
        tokenizer = fixture_tokenizer.train(TOKENIZER_ENTRIES)
    end, begin = tokenizer.token_to_id("<|im_end|>"), tokenizer.token_to_id("<|endoftext|>")

    # Text tower, its config, the type stored in each layout (none for no such folder), bytes a shard, end ids.
    plans = [
        ("qwen2", qwen2_config, torch.bfloat16, torch.bfloat16, "5GB", [end, begin]),
        ("llama", llama_config, torch.float16, torch.float32, "100KB", end),
        ("qwen3", qwen3_config, torch.bfloat16, None, "5GB", end),
        ("phi3", phi3_config, torch.float16, None, "5GB", end),
        ("mistral", mistral_config, torch.bfloat16, None, "5GB", end),
        ("internlm2", internlm2_config, None, torch.bfloat16, "5GB", end),
    ]
    for name, make_config, stored_type, opengvlab_type, shard_size, ends in plans:
        if arguments.names and name not in arguments.names:
            continue
        config, llm = make_config(tokenizer), None
        if name == "internlm2":
            llm = internlm2_settings(config.text_config)
            model = internlm2.InternVLWithInternLM2(config, llm).eval()
        else:
            model = InternVLForConditionalGeneration(config).eval()
        randomise(model, stored_type or opengvlab_type, tokenizer, seed=SEEDS[name])
        generation = {"bos_token_id": begin, "eos_token_id": ends, "pad_token_id": begin}
        if stored_type:
            save_hugging_face(model, MODELS / f"internvl-{name}-hf", stored_type, tokenizer, shard_size,
                              {**generation, "do_sample": False})
        if opengvlab_type:
            save_opengvlab(model, MODELS / f"internvl-{name}-opengvlab", opengvlab_type, tokenizer, {
                **generation, "eos_token_id": [end, begin]}, llm)
    for folder in sorted(MODELS.iterdir()):
        if folder.is_dir():
            for file in folder.iterdir():
                file.chmod(0o644)
            size = sum(file.stat().st_size for file in folder.iterdir())
            print(f"{folder.name}: {size} bytes in {len(list(folder.iterdir()))} files")


if __name__ == "__main__":
    main()
