// What an answer may hold: the page's whole Markdown, and what is meant to break out of it.
export const RICH = `## Why the sky is blue

Sunlight is **scattered** by the air, and *short* waves more than long ones. This is called
[Rayleigh scattering](https://en.example/wiki/Rayleigh_scattering), \`I ∝ 1/λ⁴\`.

1. Light enters the atmosphere.
2. Molecules scatter it:
   - blue light strongly,
   - red light ~~never~~ hardly.
3. The blue reaches your eye from all sides.

| Colour | Wavelength | Scattered |
|:-------|-----------:|:---------:|
| blue   |     450 nm |   much    |
| green  |     530 nm |   some    |
| red    |     700 nm |  little   |

\`\`\`python
def scattered(wavelength_nm: float) -> float:
    """Relative to light of 700 nm."""
    return (700 / wavelength_nm) ** 4  # Rayleigh

print(f"{scattered(450):.1f} times")
\`\`\`

> In the evening its way through the air is longer: what is left is red.

- [x] Explain the colour
- [ ] Explain the sunset

![A diagram of the scattering](https://pictures.example/sky/scattering.png)
`;

export const HOSTILE = `<script>alert(1)</script><img src=x onerror="alert(2)">

<iframe src="http://evil.example/"></iframe>

![x](http://evil.example/pixel.png) [x](javascript:alert(3)) <svg onload=alert(4)>

<style>* { display: none }</style>

<form action="http://evil.example/"><input autofocus onfocus="alert(5)"></form>

[safe](https://safe.example/a?b=1)
`;
