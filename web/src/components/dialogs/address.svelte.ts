/** The address that a person was about to open, while they are asked whether they meant it. */
class Address {
    asked = $state.raw<string | null>(null);
}

export const address = new Address();
