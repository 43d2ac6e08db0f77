#pragma once

// For the readers of requests in this folder.

#include <string>
#include <string_view>

#include "base/error.h"
#include "json/json.h"

namespace dunlin {

/// A member that is there and not null.
inline const Json* given(const Json& body, std::string_view name) {
    const Json* value = body.find(name);
    return value && !value->is_null() ? value : nullptr;
}

inline std::unexpected<Error> invalid(std::string message, std::string param) {
    return fail(Code::Invalid, std::move(message), std::move(param));
}

}  // namespace dunlin
