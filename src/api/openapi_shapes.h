#pragma once

#include <string_view>

#include "api/context.h"

namespace dunlin {

/// What /openapi.json says of an endpoint beyond its row in endpoints.def. All texts are JSON.
struct OpenApiShape {
    Endpoint run = nullptr;
    const char* answer = "Object";  // name of a schema in openapi_components()
    int status = 200;
    std::string_view query = "[]";  // parameters
    std::string_view body = {};     // schema of the request's body; empty: it has none
};

/// The endpoint's own, or the plain one.
const OpenApiShape& openapi_shape(Endpoint run);
/// The schemas that answers refer to.
std::string_view openapi_components();

}  // namespace dunlin
