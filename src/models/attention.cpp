// Attention as a layer: rotate queries and keys, store keys and values, then let every query look
// at what its sequence has stored. That waits for all storing, so that a row reads only stored
// halves, also of its own step: what was computed a moment ago and what was cached give the same
// bits.

#include <algorithm>
#include <cmath>

#include "base/checked.h"
#include "models/layers.h"

namespace dunlin {
namespace {

/// Rows of one sequence whose queries of one key head are computed together.
constexpr uint32_t kQueryRows = 16;

void rotate(const Rotary& rotary, const float* angles, float* head) {
    const size_t pairs = rotary.frequencies.size();
    const size_t step = rotary.interleaved ? 2 : 1;
    const size_t apart = rotary.interleaved ? 1 : pairs;
    for (size_t i = 0; i < pairs; ++i) {
        const float cosine = angles[2 * i];
        const float sine = angles[2 * i + 1];
        float& a = head[i * step];
        float& b = head[i * step + apart];
        const float turned = a * cosine - b * sine;
        b = a * sine + b * cosine;
        a = turned;
    }
}

/// Where queries, keys and values begin in a row of qkv.
struct Parts {
    size_t key, value;
};
Parts parts_of(const ModelConfig& c) {
    const size_t q = round_up<size_t>(size_t{c.num_attention_heads} * c.head_dim, kPanelRows);
    const size_t kv = round_up<size_t>(size_t{c.num_key_value_heads} * c.head_dim, kPanelRows);
    return {q, q + kv};
}

const ForwardBatch::Sequence& sequence_of(const ForwardBatch& batch, size_t row) {
    const auto after =
        std::upper_bound(batch.sequences.begin(), batch.sequences.end(), row,
                         [](size_t r, const ForwardBatch::Sequence& s) { return r < s.first_row; });
    return *std::prev(after);
}

void rotate_and_store(Pass& pass, uint32_t layer, const Rotary& rotary) {
    const ModelConfig& c = pass.config;
    const Parts parts = parts_of(c);
    pass.each_row(pass.rows(), [&](size_t row) {
        const auto& sequence = sequence_of(pass.batch, row);
        const uint32_t position = pass.space.positions[row];
        const float* angles = pass.space.angles.data() + row * 2 * rotary.frequencies.size();
        float* qkv = pass.space.qkv.row(row);
        for (uint32_t h = 0; h < c.num_attention_heads; ++h)
            rotate(rotary, angles, qkv + size_t{h} * c.head_dim);
        const BlockId block = sequence.blocks[position / kBlockTokens];
        for (uint32_t h = 0; h < c.num_key_value_heads; ++h) {
            float* key = qkv + parts.key + size_t{h} * c.head_dim;
            const float* value = qkv + parts.value + size_t{h} * c.head_dim;
            rotate(rotary, angles, key);
            pass.kernels.store_kv(key, value, pass.kv.layout(), position % kBlockTokens,
                                  pass.kv.block(layer, h, block));
        }
    });
}

/// One key head for some rows of a sequence.
struct Unit {
    const ForwardBatch::Sequence* sequence;
    uint32_t head, begin, end;  // rows of the sequence
};

constexpr size_t kQueriesMax = 64;

/// Calls body(queries, index of the first) for the unit's queries, at most kQueriesMax at a time.
template <class Body>
void with_queries(Pass& pass, const Unit& unit, Body&& body) {
    const ModelConfig& c = pass.config;
    const uint32_t shared_by = c.num_attention_heads / c.num_key_value_heads;
    const float* rows[kQueriesMax];
    float* out[kQueriesMax];
    uint32_t lengths[kQueriesMax];
    Queries queries{rows, out, lengths, 0, 1.0F / std::sqrt(static_cast<float>(c.head_dim))};
    size_t index = 0;
    const auto flush = [&] {
        if (queries.count > 0) body(queries, index);
        index += queries.count;
        queries.count = 0;
    };
    for (uint32_t i = unit.begin; i < unit.end; ++i) {
        const size_t row = unit.sequence->first_row + i;
        for (uint32_t g = 0; g < shared_by; ++g) {
            const size_t offset = (size_t{unit.head} * shared_by + g) * c.head_dim;
            rows[queries.count] = pass.space.qkv.row(row) + offset;
            out[queries.count] = pass.space.attended.row(row) + offset;
            lengths[queries.count] = unit.sequence->first_position + i + 1;
            if (++queries.count == kQueriesMax) flush();
        }
    }
    flush();
}

/// Columns of the output that belong to one key head: those of the queries that share it.
size_t group_columns(const ModelConfig& c) {
    return size_t{c.num_attention_heads} / c.num_key_value_heads * c.head_dim;
}

/// Makes the other forms of what the unit's queries gave, where that is whole blocks.
void make_forms_of_unit(Pass& pass, const Unit& unit) {
    Features& out = pass.space.attended;
    const size_t columns = group_columns(pass.config);
    if (columns % kBlock != 0) return;
    for (size_t row = unit.sequence->first_row + unit.begin;
         row < unit.sequence->first_row + unit.end; ++row)
        out.make_forms(pass.kernels, out.row(row) + unit.head * columns, row,
                       unit.head * columns / kBlock, columns / kBlock);
}

uint32_t pieces_of(const ForwardBatch::Sequence& s) {
    return (s.rows + kQueryRows - 1) / kQueryRows;
}
uint32_t tokens_of(const ForwardBatch::Sequence& s) {
    return s.first_position + s.rows;
}
uint32_t spans_of(uint32_t tokens) {
    return (tokens + kSpanKeys - 1) / kSpanKeys;
}

void attend_whole(Pass& pass, uint32_t layer, const ForwardBatch::Sequence& s, uint32_t index) {
    // Longest first: later rows see more keys.
    const uint32_t heads = pass.config.num_key_value_heads;
    const uint32_t begin = (pieces_of(s) - 1 - index / heads) * kQueryRows;
    const Unit unit{&s, index % heads, begin, std::min(s.rows, begin + kQueryRows)};
    const KvHead kv = pass.kv.head(layer, unit.head, s.blocks);
    with_queries(pass, unit,
                 [&](const Queries& queries, size_t) { pass.kernels.attend(kv, queries); });
    make_forms_of_unit(pass, unit);
}

/// Where the parts of a sequence stand in the room, and which heads they are.
struct SplitPlace {
    float* parts;
    std::atomic<uint32_t>* done;  // [heads]
};

size_t part_floats(const ModelConfig& c, const ForwardBatch::Sequence& s) {
    return size_t{s.rows} * c.num_attention_heads * spans_of(tokens_of(s)) *
           span_part_floats(c.head_dim);
}

/// Span index / heads of key head index % heads, and the merging where it is the last to be done.
void attend_split(Pass& pass, uint32_t layer, const ForwardBatch::Sequence& s, uint32_t index,
                  const SplitPlace& place) {
    const ModelConfig& c = pass.config;
    const uint32_t heads = c.num_key_value_heads;
    const uint32_t spans = spans_of(tokens_of(s));
    const uint32_t span = index / heads;
    const Unit unit{&s, index % heads, 0, s.rows};
    const KvHead kv = pass.kv.head(layer, unit.head, s.blocks);
    const size_t part = span_part_floats(c.head_dim);
    const size_t queries_all = size_t{s.rows} * (c.num_attention_heads / heads);
    const size_t stride = queries_all * part;  // from one span to the next
    float* const parts = place.parts + unit.head * spans * stride;
    with_queries(pass, unit, [&](const Queries& queries, size_t first) {
        pass.kernels.attend_span(kv, queries, span, parts + span * stride + first * part);
    });
    std::atomic<uint32_t>& done = place.done[unit.head];
    if (done.fetch_add(1, std::memory_order_acq_rel) + 1 < spans) return;
    done.store(0, std::memory_order_relaxed);  // for the next layer, after a barrier
    with_queries(pass, unit, [&](const Queries& queries, size_t first) {
        for (size_t q = 0; q < queries.count; ++q)
            pass.kernels.merge_spans(kv.layout, parts + (first + q) * part, stride,
                                     spans_of(queries.lengths[q]), queries.out[q]);
    });
    make_forms_of_unit(pass, unit);
}

/// Whether the units of whole sequences are too few for the threads, all of them have few rows, and
/// there is room for their parts.
bool should_split(const Pass& pass) {
    constexpr size_t kUnitsEnough = 4;  // for each thread
    const ModelConfig& c = pass.config;
    size_t units = 0;
    size_t floats = 0;
    uint32_t longest = 0;
    for (const auto& s : pass.batch.sequences) {
        if (s.rows > kQueryRows) return false;
        units += c.num_key_value_heads;
        floats += part_floats(c, s);
        longest = std::max(longest, tokens_of(s));
    }
    return pass.worker.size() > 1 && units < kUnitsEnough * pass.worker.size() &&
           longest > kSpanKeys && units <= pass.space.spans.done.size() &&
           floats <= pass.space.spans.floats;
}

}  // namespace

SpanRoom::SpanRoom(const ModelConfig& c, uint32_t tokens_max, uint32_t threads)
    : done(threads > 1 ? size_t{4} * threads : 0) {
    // A row over the longest sequence, or many rows over shorter ones.
    constexpr size_t kFloatsUsual = size_t{1} << 20;
    if (threads == 1) return;
    floats = std::max(kFloatsUsual, size_t{c.num_attention_heads} * spans_of(tokens_max) *
                                        span_part_floats(c.head_dim));
    parts = std::make_unique_for_overwrite<float[]>(floats);
}

void attention(Pass& pass, uint32_t layer, const Rotary& rotary) {
    rotate_and_store(pass, layer, rotary);

    const ModelConfig& c = pass.config;
    const uint32_t heads = c.num_key_value_heads;
    const bool split = should_split(pass);
    const auto units_of = [&](const ForwardBatch::Sequence& s) {
        return size_t{split ? spans_of(tokens_of(s)) : pieces_of(s)} * heads;
    };
    size_t units = 0;
    for (const auto& s : pass.batch.sequences) units += units_of(s);
    pass.share(units, 1, [&](size_t first, size_t last) {
        for (size_t unit = first; unit < last; ++unit) {
            size_t index = unit;
            SplitPlace place{pass.space.spans.parts.get(), pass.space.spans.done.data()};
            for (const auto& s : pass.batch.sequences) {
                if (index < units_of(s)) {
                    if (split)
                        attend_split(pass, layer, s, static_cast<uint32_t>(index), place);
                    else
                        attend_whole(pass, layer, s, static_cast<uint32_t>(index));
                    break;
                }
                index -= units_of(s);
                if (split) place = {place.parts + part_floats(c, s), place.done + heads};
            }
        }
    });
    Features& out = pass.space.attended;
    if ((out.forms().quantized || out.forms().bfloats) && group_columns(c) % kBlock != 0)
        pass.each_row(pass.rows(), [&](size_t row) {
            out.make_forms(pass.kernels, out.row(row), row, 0, out.blocks());
        });
}

}  // namespace dunlin
