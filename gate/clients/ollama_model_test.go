package clients

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/ollama/ollama/fs/ggml"
)

// The sizes of the model.
const (
	modelWidth  = 32
	modelHidden = 64
)

// modelfile lets the model answer with few tokens.
const modelfile = `FROM ./tiny.gguf
TEMPLATE "{{ .Prompt }}"
PARAMETER num_predict 16
PARAMETER num_ctx 64
`

// writeModel writes a Modelfile, and a model with the architecture of Llama, one block and
// random weights. Ollama runs it. It answers with letters.
func writeModel(t *testing.T, folder string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, "Modelfile"), []byte(modelfile), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(folder, "tiny.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	words, kinds := modelTokens()
	if err := ggml.WriteGGUF(file, ggml.KV{
		"general.architecture":                   "llama",
		"llama.block_count":                      uint32(1),
		"llama.context_length":                   uint32(128),
		"llama.embedding_length":                 uint32(modelWidth),
		"llama.feed_forward_length":              uint32(modelHidden),
		"llama.attention.head_count":             uint32(2),
		"llama.attention.head_count_kv":          uint32(2),
		"llama.attention.layer_norm_rms_epsilon": float32(1e-5),
		"llama.rope.dimension_count":             uint32(modelWidth / 2),
		"llama.vocab_size":                       uint32(len(words)),
		"tokenizer.ggml.model":                   "llama",
		"tokenizer.ggml.tokens":                  words,
		"tokenizer.ggml.scores":                  make([]float32, len(words)),
		"tokenizer.ggml.token_type":              kinds,
		"tokenizer.ggml.unknown_token_id":        uint32(0),
		"tokenizer.ggml.bos_token_id":            uint32(1),
		"tokenizer.ggml.eos_token_id":            uint32(2),
	}, modelTensors(uint64(len(words)))); err != nil {
		t.Fatal(err)
	}
}

// letters is the number of tokens at the end of the vocabulary that are letters.
const letters = 26

// modelTokens returns the vocabulary and the kind of each token, as in llama.cpp's
// llama_token_type.
func modelTokens() (words []string, kinds []int32) {
	const normal, unknown, control, oneByte = 1, 2, 3, 6
	words, kinds = []string{"<unk>", "<s>", "</s>"}, []int32{unknown, control, control}
	for b := range 256 {
		words, kinds = append(words, fmt.Sprintf("<0x%02X>", b)), append(kinds, oneByte)
	}
	for i := range letters {
		words, kinds = append(words, string(rune('a'+i))), append(kinds, normal)
	}
	return words, kinds
}

// modelTensors returns random weights. The rows of the output are 0 except those of
// letters, so the model prefers letters.
func modelTensors(tokens uint64) []*ggml.Tensor {
	random := rand.New(rand.NewPCG(1, 1))
	weights := func(name string, value func(i uint64) float64, shape ...uint64) *ggml.Tensor {
		var data bytes.Buffer
		size := uint64(1)
		for _, n := range shape {
			size *= n
		}
		for i := range size {
			_ = binary.Write(&data, binary.LittleEndian, float32(value(i))) // to a bytes.Buffer
		}
		return &ggml.Tensor{Name: name, Shape: shape, WriterTo: &data} // Kind 0: 32-bit floats
	}
	noise := func(uint64) float64 { return random.NormFloat64() }
	one := func(uint64) float64 { return 1 }
	return []*ggml.Tensor{
		weights("token_embd.weight", noise, modelWidth, tokens),
		weights("output_norm.weight", one, modelWidth),
		weights("output.weight", func(i uint64) float64 {
			if i/modelWidth < tokens-letters {
				return 0
			}
			return random.NormFloat64()
		}, modelWidth, tokens),
		weights("blk.0.attn_norm.weight", one, modelWidth),
		weights("blk.0.attn_q.weight", noise, modelWidth, modelWidth),
		weights("blk.0.attn_k.weight", noise, modelWidth, modelWidth),
		weights("blk.0.attn_v.weight", noise, modelWidth, modelWidth),
		weights("blk.0.attn_output.weight", noise, modelWidth, modelWidth),
		weights("blk.0.ffn_norm.weight", one, modelWidth),
		weights("blk.0.ffn_gate.weight", noise, modelWidth, modelHidden),
		weights("blk.0.ffn_up.weight", noise, modelWidth, modelHidden),
		weights("blk.0.ffn_down.weight", noise, modelHidden, modelWidth),
	}
}
