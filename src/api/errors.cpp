#include <algorithm>

#include "api/context.h"
#include "base/log.h"
#include "wire/openai.h"

namespace dunlin {
namespace {

struct Row {
    Code code;
    int status;
    std::string_view type, name;
    bool retry;  // the same request may succeed later
};

constexpr std::string_view kBadRequest = "invalid_request_error";
constexpr std::string_view kServer = "server_error";

constexpr Row kRows[] = {
    {Code::Invalid, 400, kBadRequest, "", false},
    {Code::TooLong, 400, kBadRequest, "context_length_exceeded", false},
    {Code::TextTooLong, 400, kBadRequest, "string_above_max_length", false},
    {Code::TooLarge, 413, kBadRequest, "too_large", false},
    {Code::NotFound, 404, kBadRequest, "not_found", false},
    {Code::Conflict, 409, kBadRequest, "conflict", true},
    {Code::ModelNotFound, 404, kBadRequest, "model_not_found", false},
    {Code::Unauthorized, 401, kBadRequest, "invalid_api_key", false},
    {Code::Forbidden, 403, "permission_error", "forbidden", false},
    {Code::RateLimited, 429, "rate_limit_error", "rate_limit_exceeded", true},
    {Code::Overloaded, 503, kServer, "overloaded", true},
    {Code::NotReady, 503, kServer, "not_ready", true},
    {Code::DeadlineExceeded, 504, kServer, "deadline_exceeded", false},
    {Code::Cancelled, 499, kServer, "cancelled", false},
    {Code::NoRoom, 503, kServer, "no_room", true},
    {Code::OutOfMemory, 503, kServer, "out_of_memory", false},
    {Code::DeviceLost, 503, kServer, "device_lost", true},
    {Code::Corrupt, 500, kServer, "corrupt", false},
    {Code::Io, 500, kServer, "io", false},
    {Code::DiskFull, 507, kServer, "disk_full", false},
    {Code::Unsupported, 400, kBadRequest, "unsupported", false},
    {Code::Internal, 500, kServer, "internal", false},
};

/// What HTTP itself refuses, by its status.
struct HttpRow {
    int status;
    std::string_view type, name;
};
constexpr HttpRow kHttpRows[] = {
    {400, kBadRequest, "bad_request"},  // also what is not in this table
    {403, "permission_error", "forbidden"},
    {405, kBadRequest, "method_not_allowed"},
    {408, kBadRequest, "request_timeout"},
    {413, kBadRequest, "too_large"},
    {415, kBadRequest, "unsupported_media_type"},
    {417, kBadRequest, "expectation_failed"},
    {426, kBadRequest, "upgrade_required"},
    {431, kBadRequest, "header_too_large"},
    {503, kServer, "overloaded"},
};

const HttpRow& http_row(int status) {
    for (const HttpRow& row : kHttpRows)
        if (row.status == status) return row;
    return kHttpRows[0];
}

void count(Metrics& metrics, std::string_view code) {
    metrics
        .counter("dunlin_errors_total", "Requests that ended in an error, by its code.",
                 {{"code", std::string(code)}})
        .add();
}

const Row& row_of(Code code) {
    for (const Row& row : kRows)
        if (row.code == code) return row;
    return kRows[std::size(kRows) - 1];
}

/// OpenAI's clients obey all three; proxies know the first.
void add_retry(HttpResponse& response, uint32_t seconds, int64_t retry_ms) {
    response.headers.emplace_back("Retry-After", std::to_string(seconds));
    if (retry_ms > 0) response.headers.emplace_back("retry-after-ms", std::to_string(retry_ms));
    response.headers.emplace_back("x-should-retry", "true");
}

}  // namespace

HttpResponse json_response(int status, const Json& body) {
    auto text = write_json(body);
    if (!text) {
        log_error("api", "answer has no JSON form", {{"why", text.error().message}});
        text = R"({"error":{"message":"internal error","type":"server_error","param":null,)"
               R"("code":"internal"}})";
        status = 500;
    }
    return {.status = status,
            .headers = {{"Content-Type", "application/json"}},
            .body = std::move(*text)};
}

Json error_body(const Error& error) {
    const Row& row = row_of(error.code);
    const bool names_model = error.code == Code::ModelNotFound && error.param.empty();
    const auto param = names_model ? std::string_view("model") : std::string_view(error.param);
    return error_json(error.message, row.type, param, row.name);
}

std::optional<uint32_t> retry_after_s(const Error& error) {
    if (!row_of(error.code).retry) return std::nullopt;
    return static_cast<uint32_t>(std::clamp<int64_t>((error.retry_ms + 999) / 1000, 1, 86'400));
}

HttpResponse error_response(const Error& error) {
    const Row& row = row_of(error.code);
    HttpResponse response = json_response(row.status, error_body(error));
    if (row.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
    if (const auto seconds = retry_after_s(error)) add_retry(response, *seconds, error.retry_ms);
    if (row.status >= 500 && !row.retry) response.headers.emplace_back("x-should-retry", "false");
    return response;
}

HttpResponse refusal(int status, std::string_view why) {
    const HttpRow& row = http_row(status);
    HttpResponse response = json_response(status, error_json(why, row.type, "", row.name));
    if (status == 503) add_retry(response, 1, 0);
    return response;
}

void count_error(Metrics& metrics, const Error& error) {
    count(metrics, to_string(error.code));
}

void count_refusal(Metrics& metrics, int status) {
    count(metrics, http_row(status).name);
}

void refuse(ApiContext& api, Exchange& exchange, const Error& error) {
    count_error(api.metrics, error);
    exchange.respond(error_response(error));
}

void run_on_worker(ApiContext& api, const ExchangePtr& exchange,
                   std::move_only_function<void()> work) {
    if (!api.workers.post(std::move(work)))
        refuse(api, *exchange, {Code::Overloaded, "too many requests wait; try again"});
}

void refuse(ApiContext& api, Exchange& exchange, int status, std::string_view why,
            const HttpHeaders& headers) {
    count_refusal(api.metrics, status);
    HttpResponse response = refusal(status, why);
    response.headers.insert(response.headers.end(), headers.begin(), headers.end());
    exchange.respond(std::move(response));
}

}  // namespace dunlin
