#include "net/http.h"

namespace dunlin {

std::string_view HttpRequest::header(std::string_view name) const {
    for (const auto& [key, value] : headers)
        if (key == name) return value;
    return {};
}

std::optional<HttpResponse> BodySource::instead() {
    return std::nullopt;
}

}  // namespace dunlin
