#include "sessions/stores.h"

#include "base/check.h"

namespace dunlin {

Expected<std::unique_ptr<SessionStore>> open_session_store(std::string_view name,
                                                           const StoreSettings& settings) {
#define SESSION_STORE(known, text) \
    if (name == #known) return open_##known##_store(settings);
#include "sessions/stores.def"
#undef SESSION_STORE
    check_failed("a store of stores.def", __FILE__, __LINE__);
}

}  // namespace dunlin
