// The shapes follow OpenAI's API reference, and what its clients were seen to need: the role once a
// choice, `choices` always an array, usage once and last, an error frame rather than a bare end.
#include "api/answer.h"

#include <algorithm>

#include "api/context.h"
#include "wire/openai.h"

namespace dunlin {
namespace {

constexpr size_t kEventsAtOnce = 64;

/// JSON has no -infinity; no softmax gives less than this in float.
double finite(float logprob) {
    return std::max(static_cast<double>(logprob), -9999.0);
}

Json chat_logprob(const std::string& bytes, float logprob) {
    Json::Array values;
    for (const char c : bytes) values.emplace_back(static_cast<unsigned char>(c));
    return Json::Object{
        {"token", lossy_utf8(bytes)}, {"logprob", finite(logprob)}, {"bytes", std::move(values)}};
}

Json logprobs_json(Dialect dialect, const std::vector<TokenLogprob>& tokens) {
    if (dialect == Dialect::Chat) {
        Json::Array content;
        for (const auto& token : tokens) {
            Json::Array top;
            for (const auto& one : token.top) top.push_back(chat_logprob(one.bytes, one.logprob));
            content.push_back(chat_logprob(token.bytes, token.logprob));
            content.back().set("top_logprobs", std::move(top));
        }
        return Json::Object{{"content", std::move(content)}, {"refusal", nullptr}};
    }
    Json::Array texts, logprobs, tops, offsets;
    size_t offset = 0;
    for (const auto& token : tokens) {
        Json top(Json::Object{});
        for (const auto& one : token.top) {
            std::string text = lossy_utf8(one.bytes);
            if (!top.find(text)) top.set(std::move(text), finite(one.logprob));
        }
        std::string text = lossy_utf8(token.bytes);
        // The token that was drawn is always among them, as in OpenAI's answers.
        if (!token.top.empty() && !top.find(text)) top.set(text, finite(token.logprob));
        offsets.emplace_back(offset);
        offset += count_characters(text);
        texts.emplace_back(std::move(text));
        logprobs.emplace_back(finite(token.logprob));
        tops.push_back(std::move(top));
    }
    return Json::Object{{"tokens", std::move(texts)},
                        {"token_logprobs", std::move(logprobs)},
                        {"top_logprobs", std::move(tops)},
                        {"text_offset", std::move(offsets)}};
}

Json head(const AnswerForm& form, bool chunk) {
    const char* object = form.dialect != Dialect::Chat ? "text_completion"
                         : chunk                       ? "chat.completion.chunk"
                                                       : "chat.completion";
    return Json::Object{{"id", form.id},
                        {"object", object},
                        {"created", form.created_unix_s},
                        {"model", form.model},
                        {"system_fingerprint", form.fingerprint}};
}

Json usage_of(const Usage& usage) {
    return usage_json(usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens);
}

void frame(const Json& body, std::string& out) {
    const auto text = write_json(body);
    out += "data: " + (text ? *text : *write_json(error_body(text.error()))) + "\n\n";
}

void chunk(const AnswerForm& form, Json::Array choices, Json usage, std::string& out) {
    Json body = head(form, true);
    body.set("choices", std::move(choices));
    if (form.include_usage) body.set("usage", std::move(usage));
    frame(body, out);
}

Json chunk_choice(const AnswerForm& form, uint32_t index, Json delta, Json logprobs, Json finish) {
    Json choice(Json::Object{});
    choice.set("index", index);
    choice.set(form.dialect == Dialect::Chat ? "delta" : "text", std::move(delta));
    choice.set("logprobs", std::move(logprobs)).set("finish_reason", std::move(finish));
    return choice;
}

class Stream final : public BodySource {
 public:
    Stream(AnswerForm form, TurnReader reader, Metrics& metrics)
        : form_(std::move(form)), reader_(std::move(reader)), metrics_(metrics) {}

    Next pull(std::string& out) override {
        events_.clear();
        next_ += reader_->read(next_, kEventsAtOnce, events_);
        for (const Event& event : events_) {
            if (const auto* failed = std::get_if<Failed>(&event)) {
                count_error(metrics_, failed->error);
                if (!head_sent_ && out.empty()) refused_ = failed->error;
            }
            ended_ = append_frames(form_, event, out) || ended_;
        }
        return ended_ ? Next::End : Next::Wait;
    }
    std::optional<HttpResponse> instead() override {
        head_sent_ = true;
        if (!refused_) return std::nullopt;
        return error_response(*refused_);
    }
    void wake_when_ready(std::move_only_function<void() noexcept> ready) override {
        reader_->wake_on_event(next_, std::move(ready));
    }
    std::string_view idle_text() const override { return ": ping\n\n"; }

 private:
    AnswerForm form_;
    TurnReader reader_;
    Metrics& metrics_;
    std::vector<Event> events_;
    std::optional<Error> refused_;
    uint64_t next_ = 0;
    bool head_sent_ = false, ended_ = false;
};

}  // namespace

Json whole_answer(const AnswerForm& form, const std::vector<Event>& events) {
    struct Choice {
        std::string text;
        std::vector<TokenLogprob> logprobs;
        std::string_view finish = "stop";
    };
    std::vector<Choice> choices(form.choices);
    Usage usage;
    for (const Event& event : events) {
        if (const auto* text = std::get_if<Text>(&event)) {
            Choice& choice = choices.at(text->choice);
            choice.text += text->utf8;
            choice.logprobs.insert(choice.logprobs.end(), text->logprobs.begin(),
                                   text->logprobs.end());
        } else if (const auto* finished = std::get_if<Finished>(&event)) {
            choices.at(finished->choice).finish = to_string(finished->end);
        } else if (const auto* done = std::get_if<Done>(&event)) {
            usage = done->usage;
        }
    }
    Json::Array list;
    for (uint32_t i = 0; i < form.choices; ++i) {
        Json choice(Json::Object{});
        choice.set("index", i);
        if (form.dialect == Dialect::Chat)
            choice.set("message", Json::Object{{"role", "assistant"},
                                               {"content", std::move(choices[i].text)},
                                               {"refusal", nullptr}});
        else
            choice.set("text", (form.echo.empty() ? "" : form.echo.at(i)) + choices[i].text);
        Json logprobs = form.logprobs ? logprobs_json(form.dialect, choices[i].logprobs) : Json();
        choice.set("logprobs", std::move(logprobs)).set("finish_reason", choices[i].finish);
        list.push_back(std::move(choice));
    }
    Json body = head(form, false);
    body.set("choices", std::move(list)).set("usage", usage_of(usage));
    return body;
}

bool append_frames(const AnswerForm& form, const Event& event, std::string& out) {
    const bool chat = form.dialect == Dialect::Chat;
    if (std::holds_alternative<Started>(event) && (chat || !form.echo.empty())) {
        for (uint32_t i = 0; i < form.choices; ++i) {
            Json delta = chat ? Json(Json::Object{{"role", "assistant"}, {"content", ""}})
                              : Json(form.echo.at(i));
            chunk(form, {chunk_choice(form, i, std::move(delta), {}, {})}, {}, out);
        }
    } else if (const auto* text = std::get_if<Text>(&event)) {
        Json delta = chat ? Json(Json::Object{{"content", text->utf8}}) : Json(text->utf8);
        const bool some = form.logprobs && !text->logprobs.empty();
        Json logprobs = some ? logprobs_json(form.dialect, text->logprobs) : Json();
        chunk(form, {chunk_choice(form, text->choice, std::move(delta), std::move(logprobs), {})},
              {}, out);
    } else if (const auto* finished = std::get_if<Finished>(&event)) {
        Json delta = chat ? Json(Json::Object{}) : Json("");
        chunk(
            form,
            {chunk_choice(form, finished->choice, std::move(delta), {}, to_string(finished->end))},
            {}, out);
    } else if (const auto* done = std::get_if<Done>(&event)) {
        if (form.include_usage) chunk(form, {}, usage_of(done->usage), out);
        out += "data: [DONE]\n\n";
        return true;
    } else if (const auto* failed = std::get_if<Failed>(&event)) {
        frame(error_body(failed->error), out);
        out += "data: [DONE]\n\n";
        return true;
    }
    return false;
}

std::unique_ptr<BodySource> answer_stream(AnswerForm form, TurnReader reader, Metrics& metrics) {
    return std::make_unique<Stream>(std::move(form), std::move(reader), metrics);
}

}  // namespace dunlin
