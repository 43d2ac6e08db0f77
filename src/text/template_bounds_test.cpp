// Chat templates that try to use up the machine, or to reach something outside: each must end with
// an error, in little time (of the processor, so that a busy machine does not matter) and memory.

#include <array>
#include <fstream>
#include <string>
#include <vector>

#include <time.h>

#include "gtest/gtest.h"
#include "text/chat_template.h"

namespace dunlin {
namespace {

constexpr double kBombMsMax = 100;
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KEEPS_FREED_MEMORY  // the sanitizer does, to find uses of it
#endif
#endif
#ifdef KEEPS_FREED_MEMORY
constexpr double kBombMibMax = 4096;
#else
constexpr double kBombMibMax = 16;
#endif

double cpu_ms() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

/// A line of /proc/self/status in MiB.
double status_mib(const std::string& key) {
    std::ifstream file("/proc/self/status");
    for (std::string word; file >> word;) {
        double kib = 0;
        if (word == key + ":" && file >> kib) return kib / 1024;
    }
    return 0;
}

Expected<std::string> attempted(const std::string& source, const std::string& context = "{}") {
    auto made = chat_template_from_source(source, "<s>", "</s>");
    if (!made) return std::unexpected(made.error());
    return (*made)->render(context, 1'700'000'000);
}

void expect_defused(const std::string& bomb) {
    std::ofstream("/proc/self/clear_refs") << 5;  // the peak begins anew
    const double memory = status_mib("VmRSS");
    const double start = cpu_ms();
    const auto text = attempted(bomb);
    EXPECT_LT(cpu_ms() - start, kBombMsMax) << bomb.substr(0, 300);
    EXPECT_LT(status_mib("VmHWM") - memory, kBombMibMax) << bomb.substr(0, 300);
    ASSERT_FALSE(text) << bomb.substr(0, 300);
    EXPECT_LT(text.error().message.size(), 1000U);
}

std::string forever(const std::string& body) {
    return "{% for i in range(9999) %}{% for j in range(9999) %}" + body +
           "{% endfor %}{% endfor %}";
}

std::string repeated(const std::string& text, int count) {
    std::string out;
    for (int i = 0; i < count; ++i) out += text;
    return out;
}

// Something large, and what a template can do with it, again and again.
constexpr std::array kLarge = {"'a' * 200000", "'a ' * 100000", "['a' * 100000] * 9999",
                               "range(9999) | list"};
constexpr std::array kUses = {"x.upper()",
                              "x.lower()",
                              "x.title()",
                              "x.split()",
                              "x.split('a')",
                              "x.split('a', 1)",
                              "x.splitlines()",
                              "x.replace('a', 'bbbbbbbb')",
                              "x.replace('', x)",
                              "x.count('b')",
                              "x.find('b')",
                              "x.rfind('b')",
                              "x.strip('ab')",
                              "x.strip(x)",
                              "x.startswith(x)",
                              "x.endswith([x, x])",
                              "x.join(x)",
                              "','.join(x)",
                              "x.isalpha()",
                              "x.islower()",
                              "'{}{}{}'.format(x, x, x)",
                              "x.format(x)",
                              "x == y",
                              "x != y",
                              "x < y",
                              "x in y",
                              "x + x",
                              "x ~ x",
                              "x * 3",
                              "x[::-1]",
                              "x[1:]",
                              "x | upper",
                              "x | title",
                              "x | trim",
                              "x | length",
                              "x | list",
                              "x | reverse",
                              "x | reverse | list",
                              "x | sort",
                              "x | unique | list",
                              "x | join(',')",
                              "x | join(x)",
                              "x | replace('a', x)",
                              "x | tojson",
                              "x | tojson(indent=9)",
                              "x | indent(64)",
                              "x | string",
                              "x | batch(2) | list",
                              "x | slice(3) | list",
                              "x | first",
                              "x | last",
                              "x | max",
                              "x | min",
                              "x | sum",
                              "x | items",
                              "x | groupby(0)",
                              "x | map('upper') | list",
                              "x | select | list",
                              "x | escape",
                              "x | lines",
                              "x | split('a')",
                              "x | format(x)",
                              "x | attr('a')",
                              "x | default(y)",
                              "[x, y] | sort",
                              "{x: y}",
                              "[x, y] | tojson",
                              "dict(a=x) | tojson",
                              "x is eq(y)",
                              "x is in(y)",
                              "x is iterable",
                              "cycler(x).next()"};

TEST(TemplateBounds, LargeValuesUsedAgainAndAgain) {
    static_assert(kLarge.size() * kUses.size() > 200);
    for (const std::string large : kLarge)
        for (const std::string use : kUses)
            expect_defused("{% set x = " + large + " %}{% set y = " + large + " %}" +
                           forever("{% set z = " + use + " %}"));
}

TEST(TemplateBounds, OneStep) {
    for (const std::string bomb : {"{{ range(10**9) }}",
                                   "{{ range(10**9) | list }}",
                                   "{{ range(0, -1000000000000, -1) | sum }}",
                                   "{% for i in range(10**18) %}{% endfor %}",
                                   "{{ '-' * 10**9 }}",
                                   "{{ '-' * 99999999 }}",
                                   "{{ [0] * 10**9 }}",
                                   "{{ ([0] * 99999999) | list }}",
                                   "{{ (0,) * 99999999 }}",
                                   "{{ '%0999999999d' | format(1) }}",
                                   "{{ '%.999999999f' | format(1.5) }}",
                                   "{{ '{:999999999}'.format(1) }}",
                                   "{{ '{:.999999999f}'.format(1.5) }}",
                                   "{{ '{:{w}}'.format(1, w=999999999) }}",
                                   "{{ 'x' | indent(10**9, true) ~ 1 // 0 }}",
                                   "{{ 'x' | center(999999999) }}",
                                   "{{ 10 ** 999999 }}",
                                   "{{ strftime_now('%B' * 100000) }}",
                                   "{{ raise_exception('x' * 100000) }}",
                                   "{{ [1] | tojson(separators=['x' * 100000, '']) }}"})
        expect_defused(bomb);
}

TEST(TemplateBounds, GrowthAndNesting) {
    const std::string begin = "{% set ns = namespace(l=[], s='aaaaaaaaaaaaaaaa') %}";
    for (const std::string body :
         {"{% set ns.s = ns.s + ns.s %}", "{% set ns.s = ns.s ~ ns.s %}",
          "{% set ns.l = [ns.l, ns.l] %}", "{% set ns.l = [ns.l] %}", "{% set ns.l = {1: ns.l} %}",
          "{% set ns.l = ns.l + ns.l + [1] %}", "{% set ns.l = (ns.l, ns.l) %}",
          "{% set ns.l = [[[[[[[[[[[[ns.l]]]]]]]]]]]] %}",
          "{% set ns.s = ns.s.replace('a', 'aa') %}",
          "{% set ns.s %}{{ ns.s }}{{ ns.s }}{% endset %}", "{% set ns.s = [ns.s, ns.s] | join %}",
          "{{ 'x' * 1000 }}"})
        expect_defused(begin + forever(body));
    const std::string deep = begin + "{% for i in range(150) %}{% set ns.l = " + repeated("[", 40) +
                             "ns.l" + repeated("]", 40) + " %}{% endfor %}";
    for (const std::string use :
         {"ns.l", "ns.l ~ ''", "ns.l | string", "ns.l == [ns.l]", "[ns.l, [ns.l]] | sort",
          "{ns.l: 1}", "[ns.l] | join", "ns.l | tojson", "ns.l | pprint", "'%s' | format(ns.l)",
          "'{}'.format(ns.l)"})
        expect_defused(deep + forever("{% set x = " + use + " %}"));
    for (const std::string bomb :
         {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
          "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}",
          "{% macro f() %}{{ caller() }}{% endmacro %}{% call f() %}{{ f() }}{% endcall %}",
          "{% for x in [[[]]] recursive %}{{ loop([x]) }}{% endfor %}"})
        expect_defused(bomb);
    expect_defused(repeated("{% if 1 %}", 20000));
    expect_defused("{{ " + repeated("(", 20000) + "1" + repeated(")", 20000) + " }}");
    expect_defused("{{ " + repeated("[", 20000) + repeated("]", 20000) + " }}");
    expect_defused("{{ " + repeated("not ", 20000) + "1 }}{{ 1 // 0 }}");
    expect_defused("{{ 1" + repeated(" + 1", 20000) + " // 0 }}");
    expect_defused("{{ x" + repeated(".a", 20000) + " }}");
    expect_defused("{{ 1" + repeated(" | list", 15000) + " }}");
    expect_defused(repeated("x", 200 << 10));
}

TEST(TemplateBounds, NoValueContainsItself) {
    for (const std::string cycle :
         {"{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}",
          "{% set ns = namespace() %}{% set ns.a = [ns] %}{{ ns.a }}",
          "{% set n = namespace %}{% set ns = n() %}{% set ns.a = [ns] %}{{ ns.a }}",
          "{% set ns = namespace() %}{% set y = ns %}{% set ns.a = y %}{{ ns.a }}",
          "{% set n = namespace() %}{% macro f(y) %}{% set y.a = y %}{{y}}{% endmacro %}{{ f(n) }}",
          "{% set ns = namespace() %}{% macro f() %}{{ varargs }}{% endmacro %}{{ f(ns) }}",
          "{% for ns in [namespace()] %}{% set ns.a = ns %}{{ ns }}{% endfor %}",
          "{% set ns = checked_namespace() %}{% set ns.a = ns %}{{ ns }}"})
        expect_defused(cycle);
    EXPECT_EQ(*attempted("{% macro f(x, n) %}{% set n.c = n.c + x %}{% endmacro %}"
                         "{% set ns = namespace(c=1) %}{{ f(2, ns) }}{{ ns.c }}"),
              "3");
    EXPECT_EQ(*attempted("{% macro f(namespace='x') %}{{ namespace }}{% endmacro %}{{ f() }}"),
              "x");
}

TEST(TemplateBounds, NothingOutsideIsReached) {
    for (const std::string attempt : {"{{ ''.__class__.__mro__[1].__subclasses__() }}",
                                      "{{ cycler.__init__.__globals__.os }}",
                                      "{{ joiner.__init__.__globals__ }}",
                                      "{{ lipsum.__globals__['os'].popen('id').read() }}",
                                      "{{ self.__init__.__globals__.__builtins__ }}",
                                      "{{ request.application.__globals__ }}",
                                      "{{ config.items() }}",
                                      "{{ get_flashed_messages.__globals__ }}",
                                      "{{ namespace.__init__.__globals__ }}",
                                      "{{ dict.__base__.__subclasses__() }}",
                                      "{% include '/etc/passwd' %}",
                                      "{% import 'os' as os %}{{ os.name }}",
                                      "{% from 'os' import name %}{{ name }}",
                                      "{% extends '/etc/passwd' %}",
                                      "{{ __import__('os').system('id') }}",
                                      "{{ open('/etc/passwd').read() }}",
                                      "{{ ''|attr('__class__')|attr('__mro__') }}",
                                      "{{ [].pop.__self__ }}",
                                      "{{ raise_exception.__globals__['sys'] }}",
                                      "{{ strftime_now.__self__.__class__ }}",
                                      "{{ debug() }}",
                                      "{{ (1).__class__.__base__ }}",
                                      "{% set x = ''.__class__.__x__ %}"})
        EXPECT_FALSE(attempted(attempt)) << attempt;
    for (const std::string nothing : {"{{ ''.__class__ }}", "{{ messages.__class__ }}"})
        EXPECT_EQ(*attempted(nothing, R"({"messages":[]})"), "");
}

}  // namespace
}  // namespace dunlin
