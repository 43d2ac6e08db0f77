#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <utility>

namespace dunlin {

/// Arithmetic for sizes that come from a file or the network: nothing instead of a wrapped number.
///     auto bytes = checked_mul(rows, row_bytes);
///     if (!bytes || *bytes > file_bytes) return fail(...);
template <std::integral T>
[[nodiscard]] constexpr std::optional<T> checked_add(T a, T b) {
    T sum{};
    if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
    return sum;
}

template <std::integral T>
[[nodiscard]] constexpr std::optional<T> checked_mul(T a, T b) {
    T product{};
    if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
    return product;
}

/// `value` as a `To`, or nothing where it does not fit.
template <std::integral To, std::integral From>
[[nodiscard]] constexpr std::optional<To> checked_cast(From value) {
    if (!std::in_range<To>(value)) return std::nullopt;
    return static_cast<To>(value);
}

/// The smallest multiple of `unit` that is not below `value`. REQUIRES: unit > 0, no overflow.
template <std::unsigned_integral T>
[[nodiscard]] constexpr T round_up(T value, T unit) {
    return (value + unit - 1) / unit * unit;
}

}  // namespace dunlin
